"""Tiles counted here against those that the generated rules count: promtool evaluates them on the same samples."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from sloctl import conventions
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.history.counting import Read, Series, counted, from_widest, is_countable, read_by, ups_of
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.selector import Selector
from sloctl.promql.selectors import selector_text
from sloctl.rendering import to_yaml
from testing.histories import catalogue_of, slo_of
from tests.conftest import Promtool

SCRAPE = 15_000
SCRAPES = 120
KINDS = {
    "bad_if": """{ratio: {total: 'requests_total{job="JOB"}', bad_if: 'code=~"5.."'}}""",
    "good": """{ratio: {total: 'requests_total{job="JOB"}', good: 'requests_total{job="JOB",code="200"}'}}""",
    "apart": """{ratio: {bad: 'failed_total{job="JOB"}', good: 'requests_total{job="JOB"}'}}""",
    "latency": """{latency: {histogram: 'wait_seconds{job="JOB"}', at_most: 1s}}""",
}
MORE = {"": "", "by": "    by: [code]\n    max_series: 10\n", "ignored": "    new_series: ignore\n"}
MORE["pushed"] = "    new_series: count\n"
HEAD = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
runbook: https://runbooks.example.com/$slo
---
apiVersion: sloctl/v1
kind: Service
service: cart
alerts: none
slos:
"""


@dataclass
class World:
    """The samples of one job, scrape by scrape; None is no sample, and a series that was there before has ended."""

    job: str
    series: dict[tuple[tuple[str, str], ...], list[float | None]] = field(default_factory=dict)

    def row(self, name: str, instance: str, **labels: str) -> list[float | None]:
        key = {"__name__": name, "job": self.job, "instance": instance, **labels}
        return self.series.setdefault(tuple(sorted(key.items())), [None] * SCRAPES)


def world(job: str, seed: int) -> World:
    """Pods that come, go, restart and fail to answer, with series that are born with their first event."""
    draw, made = random.Random(seed), World(job)
    for pod in range(draw.randint(1, 4)):
        _pod(made, f"{pod}:80", draw)
    return made


def _pod(made: World, instance: str, draw: random.Random) -> None:
    begin = draw.choice([0, 0, draw.randrange(SCRAPES)])
    end = draw.choice([SCRAPES, SCRAPES, draw.randrange(begin, SCRAPES + 1)])
    counts: dict[tuple[str, str], float] = {}
    base = draw.choice([0, 0, 50, 5000])
    for scrape in range(begin, end):
        lost = draw.random() < 0.02
        made.row("up", instance)[scrape] = 0.0 if lost else 1.0
        if draw.random() < 0.01:
            counts, base = {}, 0  # a restart
        for code, share in (("200", 0.9), ("500", 0.05), ("503", 0.01)):
            events = sum(draw.random() < share for _ in range(draw.choice([0, 1, 5])))
            key = ("requests_total", code)
            if events or key in counts or code == "200":
                counts[key] = counts.get(key, base if code == "200" else 0) + events
        counts["wait_seconds_count", ""] = counts.get(("wait_seconds_count", ""), base) + draw.randrange(1)
        counts["wait_seconds_bucket", "1.0"] = counts.get(("wait_seconds_bucket", "1.0"), base) + draw.randrange(1)
        if draw.random() < 0.01 or ("failed_total", "") in counts:
            counts["failed_total", ""] = counts.get(("failed_total", ""), 0) + draw.randrange(3)
        for (name, label), value in counts.items():
            if not lost and draw.random() < 0.999:
                more = {"le": label} if name == "wait_seconds_bucket" else {"code": label} if label else {}
                made.row(name, instance, **more)[scrape] = float(value)


def written(row: Sequence[float | None]) -> str:
    """As promtool reads samples; the first one that is missing ends a series, as a scrape does."""
    words, alive = list[str](), False
    for value in row:
        words.append(f"{value:g}" if value is not None else "stale" if alive else "_")
        alive = value is not None
    return " ".join(words)


def reading(worlds: Sequence[World]) -> dict[str, list[Series]]:
    """The same samples as a server answers with, by metric."""
    found: dict[str, list[Series]] = {}
    for made in worlds:
        for key, row in made.series.items():
            there = [index for index, value in enumerate(row) if value is not None]
            at, values = np.array(there, np.int64) * SCRAPE, np.array([row[index] for index in there], np.float64)
            found.setdefault(dict(key)["__name__"], []).append(Series(dict(key), at, values))
    return found


def chosen(every: dict[str, list[Series]], selector: Selector) -> list[Series]:
    return [
        one
        for one in every.get(selector.metric, ())
        if all(matcher.matches(one.labels.get(matcher.label, "")) for matcher in selector.matchers)
    ]


def read_of(slo: Slo, every: dict[str, list[Series]]) -> Read:
    return from_widest({selector: chosen(every, selector) for selector in read_by(slo)})


def cases() -> Iterator[tuple[str, str]]:
    """A name and the text of its SLO, for every kind with every manner of counting new series."""
    for kind, sli in KINDS.items():
        for manner, more in MORE.items():
            for seed in range(1):
                name = "-".join(part for part in (kind.replace("_", "-"), manner, str(seed)) if part)
                by = more if kind == "bad_if" else more.replace("code", "instance")
                yield name, f"  - name: {name}\n    objective: 99%\n    sli: {sli.replace('JOB', name)}\n{by}"


def test_tiles_counted_here_are_those_that_rules_record(promtool: Promtool, tmp_path: Path) -> None:
    names, texts = zip(*cases(), strict=True)
    catalogue = catalogue_of(HEAD + "".join(texts))
    worlds = [world(name, seed) for seed, name in enumerate(names)]
    every = reading(worlds)
    at = np.arange(0, SCRAPES * SCRAPE, 60_000, dtype=np.int64)
    expected: dict[tuple[str, int], list[dict[str, object]]] = {}
    for slo in catalogue.slos:
        ups = [one for selector in ups_of(slo) for one in chosen(every, selector)]
        for value, tiles in counted(slo, read_of(slo, every), ups, at).items():
            labels = {**conventions.series_labels(slo), **dict(zip(slo.split_labels, value, strict=True))}
            for name, counts in (("slo:sli_total:increase1m", tiles.total), ("slo:sli_errors:increase1m", tiles.bad)):
                shown = name + "{" + ", ".join(f'{label}="{text}"' for label, text in labels.items()) + "}"
                for moment, count in zip(tiles.at.tolist(), counts.tolist(), strict=True):
                    expected.setdefault((name, moment), []).append({"labels": shown, "value": count})
    said = _promtool(promtool, tmp_path, catalogue, worlds, at, expected)
    assert "SUCCESS" in said, _differences(said)


def _differences(said: str) -> list[str]:
    """Of what promtool says, the samples that are not on both sides."""
    found = list[str]()
    for block in said.split("expr: ")[1:]:
        head, expected, got = re.split(r"\n +exp: |\n +got: ", block)
        sides = [set(re.findall(r"{.*?} \S+", side)) for side in (expected, got)]
        found += [f"{head} here {sorted(sides[0] - sides[1])}, there {sorted(sides[1] - sides[0])}"]
    return found or [said[:5000]]


def _promtool(
    promtool: Promtool,
    folder: Path,
    catalogue: Catalogue,
    worlds: Sequence[World],
    at: np.ndarray[tuple[int], np.dtype[np.int64]],
    expected: dict[tuple[str, int], list[dict[str, object]]],
) -> str:
    artifact = next(iter(PrometheusBackend().compile(catalogue)))
    (folder / "rules.yaml").write_text(to_yaml(_only_tiles(artifact.value)))
    series = [
        {
            "series": dict(key)["__name__"] + "{" + ", ".join(f'{k}="{v}"' for k, v in key if k != "__name__") + "}",
            "values": written(row),
        }
        for made in worlds
        for key, row in made.series.items()
    ]
    tests = [
        {"expr": name, "eval_time": f"{moment // 1000}s", "exp_samples": expected.get((name, moment), [])}
        for name in ("slo:sli_total:increase1m", "slo:sli_errors:increase1m")
        for moment in at.tolist()
    ]
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "15s", "input_series": series, "promql_expr_test": tests}],
    }
    (folder / "test.yaml").write_text(json.dumps(test))
    return promtool("test", "rules", "test.yaml", cwd=folder).stdout


def _only_tiles(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    groups = [
        {**group, "rules": [rule for rule in group["rules"] if rule.get("record", "").endswith("increase1m")][:2]}
        for group in value["groups"]
        if group["name"].endswith("-fast")
    ]
    return {"groups": groups}


def test_only_the_widest_selectors_are_read() -> None:
    slo = slo_of()
    assert [selector_text(selector) for selector in read_by(slo)] == ['requests_total{job="cart"}']
    assert [selector_text(selector) for selector in ups_of(slo)] == ['up{job="cart"}']


@pytest.mark.parametrize(
    ("sli", "countable"),
    [
        ("{probe: {gauge: probe_success}}", False),
        ("{latency: {histogram: wait_seconds, at_most: 1s, native: true}}", False),
        ("{latency: {histogram: wait_seconds, at_most: 1s}}", True),
        ("{ratio: {total: requests_total, bad_if: 'code=\"500\"'}}", True),
    ],
)
def test_what_cannot_be_counted_here_is_known(sli: str, countable: bool) -> None:
    text = HEAD + f"  - name: one\n    objective: 99%\n    sli: {sli}\n"
    assert [is_countable(slo) for slo in catalogue_of(text).slos] == [countable]
