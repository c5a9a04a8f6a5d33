"""Worlds that nobody thought of: what the tiles count beside an exact count of what was scraped.

No event is counted twice and none is invented; what is lost is what the page about rules names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.backends.prometheus.conftest import write_rules
from tests.conftest import Promtool

STEP, SCRAPE, TILE = 5, 15, 60
END = 2700
HISTORY = 1_000_000
SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
scrape_interval: 15s
slos:
  - {{name: ok, objective: 99.9%, {slo}}}
"""
RATIO = """sli: {ratio: {total: 'requests_total{job="api"}', bad_if: 'code="500"'}}"""
SLOS = {
    "ratio": RATIO,
    "split": f"by: [tenant], {RATIO}",
    "good": """sli: {ratio: {total: 'requests_total{job="api"}', good: 'requests_total{job="api", code="200"}'}}""",
    "latency": """sli: {latency: {histogram: 'requests_seconds{job="api"}', at_most: 1s}}""",
}
LOST_TILES = {"reset": 2, "relabel": 3, "restored": 2}
AFTERWARDS = 16 * TILE
"""So long after its labels or its process changed the first values of a target's new series are not decided by it."""


@dataclass(frozen=True)
class Change:
    """What happens from a moment on, in seconds; `size` is the length in scrapes or the events of a birth."""

    kind: str
    at: int
    size: int


@dataclass
class Target:
    """One target, read every 15 seconds from `phase` on, or stamped by chance up to `late` steps after that.

    Attributes:
        rates: good and bad events per scrape.
        changes: in the order of their time, far enough apart to be told from each other.
        kind: of the SLI that reads it.
    """

    phase: int
    late: int
    rates: tuple[int, int]
    changes: list[Change]
    kind: str = "ratio"
    instance: str = "a"
    series: dict[str, dict[int, object]] = field(default_factory=dict, repr=False)

    def play(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The events that were read, of all codes and of 500; and how many of each may be lost."""
        counted, lost = {"200": 0, "500": 0}, {"200": 0, "500": 0}
        value = {"200": HISTORY, "500": HISTORY // 100}
        rate = dict(zip(value, self.rates, strict=True))
        seen, team, pending = dict.fromkeys(value, -1), "", list(self.changes)
        for turn in range(self.phase, END, SCRAPE):
            moment = turn + STEP * (turn * 7 % (self.late + 1))
            value = {code: count + rate[code] for code, count in value.items()}
            while pending and pending[0].at <= moment:
                change = pending.pop(0)
                self._lose(lost, rate, LOST_TILES.get(change.kind, 0))
                if change.kind == "nan":
                    self._lose(lost, rate, change.size // 4 + 2)
                if change.kind == "reset":
                    value, seen = dict(rate), dict.fromkeys(value, 0)
                if change.kind == "relabel":
                    for code in value:
                        self._write(code, team, moment + 20, "stale")
                    team += "x"
                if change.kind == "restored":
                    value = {code: count - min(change.size, count // 3) for code, count in value.items()}
                    seen = {code: min(seen[code], count) for code, count in value.items()}
                if change.kind == "birth":
                    self._born(turn, change, counted, lost)
            self._scrape(moment, team, value, seen, counted)
        self._lose(lost, rate, 3)  # the last scrapes are in no tile yet
        return (counted["200"] + counted["500"], counted["500"]), (lost["200"] + lost["500"], lost["500"])

    def _scrape(
        self, moment: int, team: str, value: dict[str, int], seen: dict[str, int], counted: dict[str, int]
    ) -> None:
        """What one scrape reads; `seen` was read before, -1 where nothing was."""
        if self._is(moment, "away"):
            return
        is_failed, is_nan, is_gone = (self._is(moment, kind) for kind in ("failed", "nan", "gone"))
        self._write_up(moment, 0 if is_failed else 1)
        is_missing = is_failed or is_gone
        for code, count in value.items():
            self._write(code, team, moment, "stale" if is_missing else "NaN" if is_nan else count)
            if not is_missing and not is_nan:
                counted[code] += 0 if seen[code] < 0 else count - seen[code]
                seen[code] = count

    def _born(self, moment: int, change: Change, counted: dict[str, int], lost: dict[str, int]) -> None:
        """A series of 500 with some events at once; after another change nothing says that they are new."""
        for turn in range(moment, END, SCRAPE):
            at = turn + STEP * (turn * 7 % (self.late + 1))
            if not self._is(at, "away"):
                is_failed = self._is(at, "failed") or self._is(at, "gone")
                sample: object = "stale" if is_failed else "NaN" if self._is(at, "nan") else change.size
                self._write("500", f"born{change.at}", at, sample)
        counted["500"] += change.size
        near = [each for each in self.changes if each is not change and abs(each.at - change.at) <= AFTERWARDS]
        if any(each.kind in {"reset", "relabel", "away", "failed", "nan", "gone", "restored"} for each in near):
            lost["500"] += change.size

    def _lose(self, lost: dict[str, int], rate: dict[str, int], tiles: int) -> None:
        for code, events in rate.items():
            lost[code] += events * tiles * TILE // SCRAPE

    def _is(self, moment: int, kind: str) -> bool:
        return any(
            change.kind == kind and change.at <= moment < change.at + change.size % 40 * SCRAPE
            for change in self.changes
        )

    def _write(self, code: str, team: str, moment: int, sample: object) -> None:
        target = f'job="api", instance="{self.instance}", tenant="{self.instance}", code="{code}", team="{team}"'
        names = {f"requests_total{{{target}}}": sample}
        if self.kind == "latency":  # what is no 200 is slow
            fast = 0 if code != "200" and isinstance(sample, int) else sample
            bounds = {"1": fast, "+Inf": sample}
            names = {f"requests_seconds_count{{{target}}}": sample}
            names |= {f'requests_seconds_bucket{{{target}, le="{le}"}}': value for le, value in bounds.items()}
        for name, value in names.items():
            self.series.setdefault(name, {})[moment] = value

    def _write_up(self, moment: int, value: int) -> None:
        self.series.setdefault(f'up{{job="api", instance="{self.instance}"}}', {})[moment] = value


@dataclass
class World:
    """Some targets of one SLO."""

    kind: str
    targets: list[Target]

    def test(self) -> dict[str, object]:
        """The same as promtool tests it."""
        played = [target.play() for target in self.targets]
        counted, lost = ([sum(side) for side in zip(*sides, strict=True)] for sides in zip(*played, strict=True))
        expectations = []
        for kind, events, least in zip(("total", "errors"), counted, lost, strict=True):
            summed = f"sum(sum_over_time(slo:sli_{kind}:increase1m[{END}s]))"
            within = f"({summed} >= bool {events - least}) * ({summed} <= bool {events})"
            expectations.append({"expr": within, "eval_time": f"{END}s", "exp_samples": [{"labels": "{}", "value": 1}]})
        stored = [
            {"series": name, "values": " ".join(str(samples.get(at, "_")) for at in range(0, END + 60, STEP))}
            for target in self.targets
            for name, samples in target.series.items()
        ]
        return {"interval": f"{STEP}s", "input_series": stored, "promql_expr_test": expectations}


KINDS = ("nan", "away", "failed", "gone", "reset", "restored", "relabel", "birth")


@st.composite
def targets(draw: st.DrawFn, kind: str, instance: str) -> Target:
    """A target with up to three changes, at least six minutes apart."""
    moments = draw(st.lists(st.integers(0, 4), max_size=3, unique=True))
    changes = [
        Change(draw(st.sampled_from(KINDS)), 420 + 420 * slot + 5 * draw(st.integers(0, 11)), draw(st.integers(1, 19)))
        for slot in sorted(moments)
    ]
    rates = draw(st.integers(0, 300)), draw(st.integers(0, 20))
    return Target(5 * draw(st.integers(0, 2)), draw(st.integers(0, 2)), rates, changes, kind, instance)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to three targets; Prometheus is away from all of them or from none."""
    kind = draw(st.sampled_from(sorted(SLOS)))
    found = [draw(targets(kind, instance)) for instance in "abc"[: draw(st.integers(1, 3))]]
    away = [change for target in found for change in target.changes if change.kind == "away"][:1]
    for target in found:
        target.changes = [change for change in target.changes if change.kind != "away"]
        target.changes = [change for change in target.changes if not away or abs(change.at - away[0].at) >= 420] + away
        target.changes.sort(key=lambda change: change.at)
    return World(kind, found)


@pytest.mark.property
@pytest.mark.server
@settings(
    max_examples=max(3, settings.default.max_examples // 25),
    phases=[Phase.generate],  # a failing world is small as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(worlds(), min_size=8, max_size=8))
def test_tiles_count_what_was_scraped_whatever_happens(promtool: Promtool, drawn: list[World]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "test.yaml"
        for kind, slo in SLOS.items():
            of_kind = [world for world in drawn if world.kind == kind]
            rules = write_rules(SPEC.format(slo=slo), Path(folder))
            (fast, *_) = yaml.safe_load(rules.read_text())["groups"]
            tiles = [rule for rule in fast["rules"] if rule.get("record", "").startswith("slo:sli_")][:2]
            rules.write_text(json.dumps({"groups": [{**fast, "rules": tiles}]}))
            tests = [world.test() for world in of_kind]
            file.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}))
            ran = promtool("test", "rules", file)
            assert ran.returncode == 0, f"{of_kind}\n{ran.stdout}"
