"""Whole runs of `validate` and `generate` on documents that nobody would write.

Whatever comes in: the exit code is 0 or 1, never a bug of ours; every finding has a place and help, and can be
printed. `make fuzz` draws many more.
"""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sloctl.cli import main
from sloctl.cli.routes import MINIMAL
from sloctl.language.schema import json_schema
from testing.servers import ROOT
from tests.conftest import program
from tests.payloads import ALL

SECONDS = 60  # far beyond anything that is not a hang, on a busy machine as well
DRAWN = settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.too_slow])

GOOD = sorted(
    [
        *(ROOT / "slo-specs").rglob("*.yaml"),
        *(ROOT / "tests" / "golden").glob("*/spec/*.yaml"),
        *(ROOT / "tests" / "language" / "examples").glob("*.yaml"),
    ]
)
BAD = sorted(path for path in (ROOT / "tests" / "diagnostics").glob("*.bad.yaml") if path.stat().st_size < 20_000)
TEXTS = [path.read_bytes().decode("utf-8", "replace") for path in GOOD + BAD]
WHOLE = [
    (platform.read_text(encoding="utf-8"), path.read_text(encoding="utf-8"))
    for platform in sorted((ROOT / "slo-specs").glob("*/platform.yaml"))
    for path in sorted(platform.parent.glob("*.yaml"))
    if path != platform and "uses:" not in path.read_text(encoding="utf-8")
]
WRITTEN = r"(?<=[ ,{:\[])(?:(?P<length>[0-9]+(?:ms|[smhdw]))|[0-9.]+%)(?=[ ,}\]]|$)"
LENGTHS = ["1s", "15s", "1m", "4m", "7m", "16m", "1h", "61m", "1d", "30d", "3650d", "1000000000d"]
SHARES = ["0.001%", "1%", "50%", "85%", "99%", "99.9%", "99.9999%"]
LINES = sorted({line for text in TEXTS for line in text.splitlines() if len(line) < 300})
PIECES = [payload for _, payload in ALL]


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail what does not end."""

    def late(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"not done after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(text: bytes, *words: str) -> tuple[int, str, str]:
    """Exit code and both outputs of a command that reads this text as its standard input."""
    out, err = io.StringIO(), io.StringIO()
    stdin = io.TextIOWrapper(io.BytesIO(text), "utf-8")
    with no_hang(), patch.object(sys, "stdin", stdin), redirect_stdout(out), redirect_stderr(err):
        code = main([*words])
    return code, out.getvalue(), err.getvalue()


def check(text: str | bytes) -> None:
    """Run everything on a text and look at what a user and a program would see."""
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    code, out, err = run(content, "validate", "-", "--format", "json")
    assert code in {0, 1}, err
    findings = json.loads(err)
    assert code == any(finding["severity"] == "error" for finding in findings)
    for finding in findings:
        assert finding["help"], finding
        assert finding["line"] > 0
        assert finding["column"] > 0
        assert finding["message"].isprintable()
    text_code, _, shown = run(content, "validate", "-")
    assert text_code == code
    assert all(line.isprintable() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\n"))
    if code == 0:
        generated, out, err = run(content, "generate", "-", "-o", "-")
        assert generated == 0, err
        assert all(isinstance(document, dict) for document in yaml.load_all(out, yaml.CSafeLoader))


@pytest.fixture(scope="module", autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In a folder without Platforms, which standard input would belong to."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("empty"))
        yield


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A real specification with a few lines or characters changed, or with parts of others."""
    lines = draw(st.sampled_from(TEXTS)).splitlines()
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(0, len(lines) - 1)))
        line = lines[at] if lines else ""
        column = draw(st.integers(0, len(line)))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=6) | st.sampled_from(list("{}[],:#&*!|>'\"%@`$-?\t ")))
        match draw(st.integers(0, 8)):
            case 0:
                lines[at : at + 1] = []
            case 1:
                lines.insert(at, draw(st.sampled_from(LINES)))
            case 2:
                lines.insert(at, line)
            case 3:
                lines[at : at + 1] = [line[:column] + piece + line[column:]]
            case 4:
                lines[at : at + 1] = [line[:column] + line[column + draw(st.integers(1, 9)) :]]
            case 5:
                key, colon, _ = line.partition(":")
                lines[at : at + 1] = [f"{key}{colon} {piece}"]
            case 6:
                lines[at : at + 1] = [" " * draw(st.integers(0, 8)) + line.lstrip()]
            case 7:
                lines += ["---", *draw(st.sampled_from(TEXTS)).splitlines()]
            case _:
                other = draw(st.sampled_from(LINES)).partition(":")[2]
                lines[at : at + 1] = [f"{line.partition(':')[0]}:{other}"]
    return "\n".join(lines)


@st.composite
def adjusted(draw: st.DrawFn) -> str:
    """A real Platform and one of its Services with a few quantities changed, so that many are accepted."""
    platform, service = draw(st.sampled_from(WHOLE))
    lines = f"{platform}\n---\n{service}".splitlines()
    places = [(at, found) for at, line in enumerate(lines) for found in re.finditer(WRITTEN, line)]
    for at, found in draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique_by=lambda place: place[0])):
        other = draw(st.sampled_from(LENGTHS if found["length"] else SHARES))
        lines[at] = f"{lines[at][: found.start()]}{other}{lines[at][found.end() :]}"
    return "\n".join(lines)


def _words() -> tuple[list[str], list[str]]:
    schema = json_schema()
    definitions = [*schema["$defs"].values(), *schema.get("oneOf", ())]
    keys = {key for definition in definitions for key in definition.get("properties", {})}
    values = {
        value
        for definition in definitions
        for each in definition.get("properties", {}).values()
        for value in each.get("enum", ())
    }
    return sorted(keys), sorted(map(str, values))


KEYS, WORDS = _words()
FREE = [key for key in KEYS if key not in {"apiVersion", "kind"}]
QUANTITIES = [
    "99.9%",
    "0%",
    "100%",
    "1m",
    "5m",
    "1h",
    "30d",
    "800K/min",
    "0.5",
    "1e400",
    "0/s",
    "2.5s",
    "1ms",
    "400d",
    "99999w",
]
PROMQL = [
    "a_total",
    'a_total{job="x"}',
    'code=~"5.."',
    "sum(increase(a_total[$window]))",
    "sum by (tenant) (increase(a_total[$window]))",
    "max(queue)",
    "a_seconds",
    "up",
]
NAMES = ["ok", "web", "shop", "google", "none", "tenant", "job", "http"]
SCALARS = (
    st.sampled_from(WORDS + QUANTITIES + PROMQL + NAMES + PIECES)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.text(max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def structured(draw: st.DrawFn) -> str:
    """Documents with the keys of the language and values of all sorts, right ones among them."""
    documents = []
    for kind in draw(st.lists(st.sampled_from(["Platform", "Service", "Service", "Template"]), min_size=1, max_size=3)):
        noise = draw(st.lists(st.sampled_from(FREE), max_size=draw(st.sampled_from([0, 0, 0, 1, 6]))))
        further = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(noise, VALUES)))
        documents.append({"apiVersion": "sloctl/v1", "kind": kind} | further | draw(_likely(kind)))
    return "\n---\n".join(json.dumps(document, ensure_ascii=False) for document in documents)


WRONG = QUANTITIES + PROMQL + NAMES


@st.composite
def _mostly(draw: st.DrawFn, *right: str) -> str:
    """One of these, and once in twenty times something else."""
    return draw(st.sampled_from(WRONG if draw(st.integers(0, 19)) == 19 else right))


DURATION = _mostly("1m", "2m", "5m", "1h", "6h", "3d")
SHARE = _mostly("0.1%", "5%", "99%", "99.9%")
RATE = _mostly("1/min", "800K/min", "6/h", "8K/s")
SELECTOR = _mostly("a_total", 'a_total{job="x"}', 'b_total{code=~"5.."}', 'b_total{tenant="x"}')
NAME = _mostly(*NAMES)


def _kinds() -> Iterator[tuple[str, st.SearchStrategy[dict[str, Any]]]]:
    further = {"bad_if": _mostly('code=~"5.."'), "unit": _mostly("s", "ms", "none"), "native": st.booleans()}
    promql = _mostly("max(queue)", "max by (tenant) (queue)")
    windowed = _mostly("sum(increase(a_total[$window]))", "sum by (tenant) (increase(a_total[$window]))")
    yield "ratio", st.fixed_dictionaries({"total": SELECTOR, "bad_if": _mostly('code=~"5.."', 'job="y"')})
    yield "ratio", st.dictionaries(st.sampled_from(["total", "bad", "good"]), SELECTOR, min_size=2, max_size=3)
    yield (
        "latency",
        st.fixed_dictionaries({"histogram": _mostly("a_seconds", "b"), "at_most": DURATION}, optional=further),
    )
    yield "query", st.fixed_dictionaries({"total": windowed, "bad": windowed})
    yield "query", st.fixed_dictionaries({"bad_ratio": windowed})
    yield "threshold", st.fixed_dictionaries({"value": promql, "at_most": DURATION})
    yield "throughput", st.fixed_dictionaries({"counter": SELECTOR, "at_least": RATE})
    yield "freshness", st.fixed_dictionaries({"age": SELECTOR, "max_age": DURATION})
    yield "probe", st.fixed_dictionaries({"gauge": SELECTOR}, optional={"across": _mostly("each", "any", "most")})
    yield "saturation", st.fixed_dictionaries({"used": SELECTOR, "capacity": SELECTOR, "at_most": SHARE})


def _tiers() -> st.SearchStrategy[dict[str, Any]]:
    further = {
        "also_over": _mostly("1m", "5m"),
        "for": DURATION,
        "min_bad": st.integers(0, 5),
        "min_events": st.integers(0, 5),
        "guard": _mostly("none", "statistical"),
        "notify": st.lists(NAME, max_size=1),
        "labels": st.dictionaries(st.sampled_from(["tenant", "area", "le"]), NAME, max_size=1),
    }
    severity = {"severity": st.sampled_from(["P1", "P2", "P3"])}
    burn = st.sampled_from([1, 2, 14.4, 1000, 0.5])
    return (
        st.fixed_dictionaries(severity | {"burn": burn, "over": DURATION}, optional=further)
        | st.fixed_dictionaries(severity | {"error_rate": SHARE, "over": DURATION}, optional=further)
        | st.fixed_dictionaries(severity | {"budget_left": SHARE}, optional=further)
    )


def _with_trend(slo: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The same SLO, or with the trend that its kind may have."""
    length = _mostly("4m", "16m", "17m", "1h", "64m", "7d", "3650d", "1000000000d")
    severity = st.sampled_from(["P1", "P2", "P3"])
    match list(slo["sli"])[:1] if isinstance(slo["sli"], dict) else []:
        case ["latency"]:
            also = {"over": length, "earlier": length, "quantile": SHARE, "worse_by": SHARE, "severity": severity}
            trend = st.fixed_dictionaries({}, optional={"regression": st.fixed_dictionaries(also)})
        case ["saturation" | "threshold"]:
            forecast = st.fixed_dictionaries({"within": length}, optional={"from": length, "severity": severity})
            trend = st.fixed_dictionaries({}, optional={"forecast": forecast})
        case _:
            return st.just(slo)
    return trend.map(lambda more: slo | more)


def _routes() -> st.SearchStrategy[dict[str, Any]]:
    """Where a team's alerts go."""
    page = {"pagerduty": NAME} | {"slack": _mostly("#web"), "sns": _mostly("arn:aws:sns:eu-west-1:123456789012:pages")}
    tell = {"slack": _mostly("#web"), "email": _mostly("web@example.com"), "webhook": _mostly("https://example.com/x")}
    optional = {key: st.fixed_dictionaries({}, optional=tell) for key in ("P2", "P3", "ok")}
    return st.fixed_dictionaries({"P1": st.fixed_dictionaries(page)}, optional=optional)


def _likely(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """What a document needs, so that many get as far as resolving."""
    tier = _tiers()
    alerts = _mostly("google", "none") | st.lists(tier | _mostly("google", "ok"), min_size=1, max_size=3)
    kinds = st.one_of(*(st.fixed_dictionaries({kind: each}) for kind, each in _kinds()), NAME)
    slo = st.fixed_dictionaries(
        {"name": NAME, "objective": _mostly("99.9%", "90%", "99.99%"), "sli": kinds},
        optional={
            "alerts": alerts,
            "by": st.lists(st.sampled_from(["tenant", "job", "slo"]), max_size=2, unique=True),
            "window": _mostly("30d", "1d") | st.just({"calendar": "month", "time_zone": "Asia/Kolkata"}),
            "traffic": RATE,
            "timeslices": st.just({"target": "99%"}),
            "exclude_when": st.lists(_mostly("max(queue) > 5"), max_size=2),
            "annotations": st.dictionaries(NAME, st.sampled_from(PIECES), max_size=1),
            "enabled": st.booleans(),
        },
    )
    slos = st.lists(slo.flatmap(_with_trend), min_size=1, max_size=3, unique_by=lambda each: str(each["name"]))
    match kind:
        case "Service":
            return st.fixed_dictionaries({"service": NAME, "slos": slos}, optional={"alerts": alerts, "team": NAME})
        case "Template":
            return st.fixed_dictionaries({"name": NAME, "slos": slos})
        case _:
            return st.fixed_dictionaries(
                {"name": NAME},
                optional={
                    "teams": st.dictionaries(NAME, _routes(), min_size=1, max_size=2),
                    "policies": st.dictionaries(NAME, st.lists(tier, min_size=1, max_size=2), max_size=2),
                    "inhibition": _mostly("none", "rule", "alertmanager"),
                    "resolution": _mostly("1m", "30s"),
                    "scrape_interval": _mostly("15s", "30s", "2m"),
                    "team": NAME,
                },
            )


@pytest.mark.property
@DRAWN
@given(mutated())
def test_a_damaged_specification_ends_in_findings_or_in_rules(text: str) -> None:
    check(text)


@pytest.mark.property
@DRAWN
@given(structured())
def test_any_values_at_any_keys_end_in_findings_or_in_rules(text: str) -> None:
    check(text)


@pytest.mark.property
@pytest.mark.server
@settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.too_slow])
@given(adjusted() | structured())
def test_prometheus_and_alertmanager_load_whatever_is_accepted(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    with TemporaryDirectory() as folder:
        code, _, _ = run(content, "generate", "-", "-o", folder, "--only", "prometheus")
        if code == 0 and (rules := sorted(Path(folder).rglob("*.yaml"))):
            loads("promtool", "check", "rules", *rules)
            base, merged = Path(folder, "base.yml"), Path(folder, "merged.yml")
            base.write_text(MINIMAL)
            code, _, said = run(content, "routes", "merge", "-", "--base", str(base), "-o", str(merged))
            assert code in {0, 1}, said  # 1: nothing says where alerts go
            if code == 0:
                loads("amtool", "check-config", merged)


def loads(name: str, *words: str | Path) -> None:
    """The program accepts the files."""
    ran = subprocess.run([program(name), *words], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.property
@DRAWN
@given(st.binary(max_size=400))
def test_bytes_end_in_findings(content: bytes) -> None:
    check(content)
