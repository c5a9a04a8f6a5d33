"""Whatever a source answers, there is a named reason and never a promote on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sloctl.cli import main
from tests.canary.stub import NOW, Stub, counter, matrix, serving, spoiled

SPEC = """\
apiVersion: sloctl/v1
kind: Service
service: pay
scrape_interval: 10s
slos:
  - name: availability
    objective: 99.9%
    sli: {ratio: {total: 'requests_total{job="pay"}', bad_if: 'code=~"5.."'}}
    alerts: none
canary:
  steps: [{weight: 5%, hold: 9m, deadline: 20m}, {weight: 100%}]
  checks: [{name: errors, slo: availability, error_rate: 0.5%, worse_by: 0%}]
"""


class Evaluate:
    """`sloctl canary evaluate` against a stub."""

    def __init__(self, folder: Path, stub: Stub, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.stub, self.url, self.capsys = stub, url, capsys
        self.spec = folder / "pay.yaml"
        self.spec.write_text(SPEC, encoding="utf-8")

    def __call__(
        self, *more: str, canary: str = "7ddf8", stable: str = "5c577", service: str = "pay"
    ) -> tuple[int, str]:
        words = ["canary", "evaluate", str(self.spec), "--root", str(self.spec.parent), "--prometheus", self.url]
        words += ["--service", service, "--canary", canary, "--stable", stable, "--format", "json", *more]
        code = main(words)
        self.out, self.err = self.capsys.readouterr()
        if code in {0, 1, 3, 4}:
            answer = json.loads(self.out, parse_constant=lambda text: pytest.fail(f"{text} is no strict JSON"))
            return code, f"{answer['verdict']}/{answer['reason']}"
        return code, self.err


@pytest.fixture
def evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Evaluate]:
    monkeypatch.setattr("time.time", lambda: NOW)
    stub = Stub()
    with serving(stub) as url:
        yield Evaluate(tmp_path, stub, url, capsys)


def test_a_healthy_canary_is_promoted(evaluate: Evaluate) -> None:
    assert evaluate() == (0, "promote/healthy")


def test_the_arms_are_added_to_the_service_s_own_selectors(evaluate: Evaluate) -> None:
    evaluate()
    both = 'requests_total{job="pay", rollouts_pod_template_hash=~"7ddf8|5c577"}['
    assert any(query.startswith(both) for query in evaluate.stub.queries)
    assert not any("increase" in query or "rate(" in query for query in evaluate.stub.queries)


def test_what_an_answer_holds_is_not_asked_for_again(evaluate: Evaluate) -> None:
    """Both versions are in one answer, and so are the bad events; the other queries are for the clock and history."""
    evaluate("--started", str(NOW - 600))
    assert sum("[" in query for query in evaluate.stub.queries) == 1
    evaluate.stub.queries.clear()
    told_apart = "  arms: {canary: 'track=\"$canary\"', baseline: 'version=\"$stable\"'}\n"
    evaluate.spec.write_text(SPEC.replace('"5.."', '"5.+"') + told_apart, encoding="utf-8")
    assert evaluate("--started", str(NOW - 600)) == (0, "promote/healthy")
    assert sum("[" in query for query in evaluate.stub.queries) == 4, "as regular expressions of users are not run"


def test_the_same_samples_give_the_same_answer(evaluate: Evaluate) -> None:
    evaluate()
    first = evaluate.out
    evaluate()
    assert evaluate.out == first


def thinned(stub: Stub, every: int, arm: str = "") -> Callable[[str], tuple[int, str]]:
    """The stub's answers with every so many-th sample only of the targets whose name begins so."""

    def answer(query: str) -> tuple[int, str]:
        status, body = stub.healthy(query)
        found = json.loads(body)
        for series in found["data"]["result"]:
            if series["metric"]["instance"].startswith(arm):
                series["values"] = series["values"][::-every][::-1]
        return status, json.dumps(found)

    return answer


@pytest.mark.parametrize("arm", ["", "canary", "stable"])
@pytest.mark.parametrize("every", [2, 3, 6])
def test_samples_may_be_farther_apart_than_is_written(evaluate: Evaluate, every: int, arm: str) -> None:
    """Also those of one version only."""
    evaluate.stub.body = thinned(evaluate.stub, every, arm)
    assert evaluate() == (0, "promote/healthy")
    said = f"samples come every {10 * every} s, `scrape_interval` says 10 s"
    assert said in json.loads(evaluate.out)["warnings"]
    evaluate.stub.fails = lambda query: '"7ddf8"' in query
    assert evaluate() == (1, "rollback/harm")


def test_versions_before_a_young_stable_one_are_its_history(evaluate: Evaluate) -> None:
    """Five minutes of its own are too few to know how bursty errors are."""

    def answer(query: str) -> tuple[int, str]:
        is_earlier = '!="7ddf8"' in query
        if "[" in query or query == "time()":
            return evaluate.stub.healthy(query)
        labels = {"__name__": "x", "job": "pay", "instance": "earlier-1" if is_earlier else "stable-1"}
        start = NOW - (4200 if is_earlier else 900)
        return 200, matrix(counter({**labels, "code": "200"}, 1900, NOW - 600, start, 30))

    evaluate.stub.body = answer
    evaluate("--started", str(NOW - 600))
    assert any(
        'requests_total{job="pay", rollouts_pod_template_hash!="7ddf8"' in each for each in evaluate.stub.queries
    )
    assert (
        "the history has one target only: its errors are taken to come in bursts"
        in json.loads(evaluate.out)["warnings"]
    )


@pytest.mark.parametrize(
    ("up", "expected"),
    [(NOW - 300, (0, "promote/healthy")), (NOW, (4, "continue/stale_data")), (None, (4, "continue/stale_data"))],
    ids=["not scraped any more", "scraped in vain", "without up"],
)
def test_a_pod_that_went_away_holds_nothing(evaluate: Evaluate, up: float | None, expected: tuple[int, str]) -> None:
    """Whether it did, the metric `up` tells: of a pod that is there and not scraped nothing is known."""

    def answer(query: str) -> tuple[int, str]:
        status, body = evaluate.stub.healthy(query)
        if '"7ddf8"' not in query:
            return status, body
        second = counter({"job": "pay", "instance": "canary-2", "code": "200"}, 50, NOW - 300, NOW - 600)
        return status, matrix(
            *((each["metric"], each["values"]) for each in json.loads(body)["data"]["result"]), second
        )

    evaluate.stub.body = answer
    labels = {"__name__": "up", "job": "pay", "instance": "canary-2"}
    evaluate.stub.up = lambda _: (200, matrix() if up is None else matrix(counter(labels, 1, up, NOW - 600)))
    assert evaluate() == expected
    assert any(query.startswith('up{job="pay", instance="canary-2"}[') for query in evaluate.stub.queries)


def test_what_ran_under_the_same_hash_before_is_not_the_canary(evaluate: Evaluate) -> None:
    """A first attempt failed all requests; its cause was mended, and the same version is there again."""

    def answer(query: str) -> tuple[int, str]:
        status, body = evaluate.stub.healthy(query)
        if not re.search(r'[^!]="7ddf8"', query):
            return status, body
        again = ((each["metric"], each["values"]) for each in json.loads(body)["data"]["result"])
        first = counter({"job": "pay", "instance": "canary-0", "code": "500"}, 100, NOW - 1200, NOW - 1800)
        return status, matrix(*again, first)

    evaluate.stub.body = answer
    assert evaluate() == (0, "promote/healthy")
    assert json.loads(evaluate.out)["window"]["start"] == NOW - 610


ODD: dict[str, tuple[Callable[[str], tuple[int, str]], tuple[int, str]]] = {
    "500": (lambda _: (500, "boom"), (3, "continue/source_unavailable")),
    "503": (lambda _: (503, "{}"), (3, "continue/source_unavailable")),
    "html": (lambda _: (200, "<html>log in</html>"), (3, "continue/source_unavailable")),
    "redirect": (lambda _: (302, ""), (3, "continue/source_unavailable")),
    "bad query": (lambda _: (400, '{"status":"error","errorType":"bad_data","error":"no"}'),
                  (3, "continue/source_unavailable")),
    "wrong type": (lambda _: (200, '{"status":"success","data":{"resultType":"vector","result":[]}}'),
                   (3, "continue/source_unavailable")),
    "half a body": (lambda _: (200, matrix(({"a": "b"}, [[1, "1"]]))[:-9]), (3, "continue/source_unavailable")),
    "another form": (lambda _: (200, '{"status":"success","data":{"resultType":"matrix","result":[7]}}'),
                     (3, "continue/source_unavailable")),
    "no data": (lambda _: (200, matrix()), (4, "continue/no_data")),
    "null": (lambda _: (200, "null"), (3, "continue/source_unavailable")),
    "partial": (lambda _: (200, matrix(warnings=["store gateway is away"])), (4, "continue/partial")),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ODD))
def test_an_odd_answer_has_a_reason(evaluate: Evaluate, name: str) -> None:
    evaluate.stub.body, expected = ODD[name]
    assert evaluate() == expected


def test_remarks_of_the_query_engine_are_no_partial_answer(evaluate: Evaluate) -> None:
    def remarked(query: str) -> tuple[int, str]:
        status, body = evaluate.stub.healthy(query)
        return status, json.dumps({**json.loads(body), "warnings": ["PromQL info: metric might not be a counter"]})

    evaluate.stub.body = remarked
    assert evaluate() == (0, "promote/healthy")


def test_no_server_at_all(evaluate: Evaluate) -> None:
    evaluate.url = "http://127.0.0.1:9"
    assert evaluate() == (3, "continue/source_unavailable")


def test_a_server_that_hangs(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sloctl.prometheus.PrometheusClient.__init__", quick(0.3))
    evaluate.stub.delay = 1.0
    assert evaluate() == (3, "continue/source_unavailable")


def quick(seconds: float) -> Callable[..., None]:
    from sloctl.prometheus import PrometheusClient

    original = PrometheusClient.__init__

    def start(self: PrometheusClient, url: str, **options: object) -> None:
        original(self, url, **{**options, "timeout": seconds})  # type: ignore[arg-type]

    return start


@pytest.mark.parametrize("shift", [-3600, 3600])
def test_a_clock_that_is_an_hour_off(evaluate: Evaluate, shift: float) -> None:
    evaluate.stub.now = NOW + shift
    assert evaluate() == (4, "continue/stale_data")


def test_a_clock_that_is_ten_seconds_off_is_told(evaluate: Evaluate) -> None:
    evaluate.stub.now = NOW + 10
    evaluate()
    assert "differs from ours by 10 s" in json.loads(evaluate.out)["warnings"][0]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-7"])
@pytest.mark.parametrize("arm", ["7ddf8", "5c577"])
def test_a_value_that_is_no_count(evaluate: Evaluate, value: str, arm: str) -> None:
    evaluate.stub.body = spoiled(lambda _, __: value, at=-5, matching=arm)(evaluate.stub)
    assert evaluate() == (4, "continue/stale_data")


def test_a_counter_of_the_canary_that_goes_back(evaluate: Evaluate) -> None:
    """Once is what happens; a process that starts again and again is not judged."""
    evaluate.stub.body = spoiled(lambda _, __: "3", at=-5)(evaluate.stub)
    assert evaluate() == (0, "promote/healthy")


def test_samples_that_ended_a_minute_ago_are_stale(evaluate: Evaluate) -> None:
    healthy = evaluate.stub.healthy

    def old(query: str) -> tuple[int, str]:
        status, body = healthy(query)
        found = json.loads(body)
        for series in found["data"]["result"]:
            series["values"] = series["values"][:-8]
        return status, json.dumps(found)

    evaluate.stub.body = old
    assert evaluate() == (4, "continue/stale_data")


def test_at_the_deadline_an_unavailable_source_is_what_the_specification_says(evaluate: Evaluate) -> None:
    evaluate.spec.write_text(SPEC.replace("canary:", "canary:\n  when_missing: rollback"), encoding="utf-8")
    evaluate.stub.body = ODD["500"][0]
    assert evaluate("--started", str(NOW - 60)) == (3, "continue/source_unavailable")
    assert evaluate("--started", str(NOW - 2000)) == (1, "rollback/deadline")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"service": "pya"}, "did you mean 'pay'?"),
        ({"canary": 'a"} or vector(1)'}, "is no hash of the canary"),
        ({"canary": ""}, "is no hash of the canary"),
        ({"canary": "x" * 64}, "is no hash of the canary"),
        ({"canary": "5c577"}, "the same version"),
    ],
)
def test_a_question_that_makes_no_sense_exits_with_2(evaluate: Evaluate, words: dict[str, str], said: str) -> None:
    code, text = evaluate(**words)
    assert code == 2
    assert said in text
    assert not evaluate.stub.queries


def test_a_step_that_does_not_exist(evaluate: Evaluate) -> None:
    code, text = evaluate("--step", "7")
    assert (code, "steps 0 to 1, not 7" in text) == (2, True)


def test_a_broken_specification_is_no_rollback(evaluate: Evaluate) -> None:
    evaluate.spec.write_text(SPEC.replace("slo: availability", "slo: availabilty"), encoding="utf-8")
    code, text = evaluate()
    assert code == 2
    assert "pay.yaml:12:32: error[SLO070]: this service has no SLO `availabilty`" in text
    assert "availability" in text


def test_the_whole_group_rolls_back(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.spec.write_text(
        f"{SPEC}---\n{SPEC.replace('service: pay', 'service: book').replace('requests', 'booked')}"
    )
    evaluate.stub.fails = lambda query: "booked" in query and "7ddf8" in query
    words = [
        "canary",
        "evaluate",
        str(evaluate.spec),
        "--root",
        str(evaluate.spec.parent),
        "--prometheus",
        evaluate.url,
    ]
    for service in ("pay", "book"):
        words += ["--service", service, "--canary", "7ddf8", "--stable", "5c577"]
    assert main([*words, "--format", "json"]) == 1
    answers = json.loads(capsys.readouterr().out)
    assert [(answer["verdict"], answer["reason"]) for answer in answers] == [
        ("rollback", "group"),
        ("rollback", "harm"),
    ]


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        monkeypatch.setattr("time.time", lambda: self.now)
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("when_missing", "expected"), [("hold", (4, "continue/no_data")), ("rollback", (1, "rollback/deadline"))]
)
def test_watching_a_canary_that_never_shows_ends_at_the_deadline(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, when_missing: str, expected: tuple[int, str]
) -> None:
    clock = Clock(monkeypatch)
    evaluate.spec.write_text(SPEC.replace("canary:\n", f"canary:\n  when_missing: {when_missing}\n"), encoding="utf-8")
    evaluate.stub.scalar = lambda: (200, json.dumps(
        {"status": "success", "data": {"resultType": "scalar", "result": [clock.now, str(clock.now)]}}))  # fmt: skip
    evaluate.stub.body = lambda _: (200, matrix())
    assert evaluate("--watch") == expected
    assert clock.now == NOW + 1200
    lines = evaluate.err.splitlines()
    assert len(lines) == 121, "one a look"
    assert "continue (no_data) pay: source: pay: no sample of the canary 7ddf8" in lines[0]


def test_watching_gives_up_when_told_so(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    evaluate.url = "http://127.0.0.1:9"
    assert evaluate("--watch", "--timeout", "30s") == (3, "continue/source_unavailable")
    assert clock.now <= NOW + 30
    assert evaluate("--timeout", "30s")[0] == 2


def test_github_gets_annotations_and_a_summary(
    evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    evaluate.stub.fails = lambda query: '"7ddf8"' in query
    words = ["canary", "evaluate", str(evaluate.spec), "--root", str(evaluate.spec.parent), "--service", "pay"]
    words += ["--prometheus", evaluate.url, "--canary", "7ddf8", "--stable", "5c577", "--format", "github"]
    assert main(words) == 1
    first, *more = evaluate.capsys.readouterr().out.splitlines()
    assert first.startswith("::error title=pay%3A rollback::errors: 100%25 of ")
    assert all(line.startswith("::warning title=pay::") for line in more)
    assert "| pay | **rollback** (harm) | errors: 100% of " in summary.read_text()
    assert main([*words[:-1], "github", "--watch", "--timeout", "1s"]) == 1


@pytest.mark.parametrize(("step", "said"), [(0, 1), (1, 4)])
def test_a_step_may_have_a_warm_up_of_its_own(evaluate: Evaluate, step: int, said: int) -> None:
    """The canary's pod has failed since it came ten minutes ago, and the second step excuses as many."""
    steps = "steps: [{weight: 5%, hold: 9m, deadline: 20m}, {weight: 50%, hold: 9m, warm_up: 10m}, {weight: 100%}]"
    spec = SPEC.replace("steps: [{weight: 5%, hold: 9m, deadline: 20m}, {weight: 100%}]", steps)
    evaluate.spec.write_text(spec, encoding="utf-8")
    evaluate.stub.fails = lambda query: '"7ddf8"' in query
    code, _ = evaluate("--step", str(step), "--step-started", str(NOW - 600))
    assert code == said


def twice(stub: Stub, since: float = 0.0, until: float = NOW) -> Callable[[str], tuple[int, str]]:
    """What two servers answer that scrape the same pods, each at its own moments; the second in a part of the time."""

    def answer(query: str) -> tuple[int, str]:
        status, body = stub.healthy(query)
        found = json.loads(body)["data"]["result"]
        together = []
        for series in found:
            labels, values = series["metric"], series["values"]
            each = float(values[1][1]) - float(values[0][1])
            later = [[time + 4, str(float(value) + 0.4 * each)] for time, value in values if since < time < until]
            together.append(({**labels, "prometheus_replica": "a"}, values))
            if later and ('prometheus_replica="a"' not in query):
                together.append(({**labels, "prometheus_replica": "b"}, later))
        return status, matrix(*together)

    return answer


@pytest.mark.parametrize("since", [0.0, NOW - 200])
def test_a_pair_of_servers_without_deduplication_counts_every_request_once(evaluate: Evaluate, since: float) -> None:
    evaluate()
    [alone] = json.loads(evaluate.out)["checks"]
    evaluate.stub.body = twice(evaluate.stub, since)
    assert evaluate() == (0, "promote/healthy")
    answer = json.loads(evaluate.out)
    [check] = answer["checks"]
    assert (check["canary"], check["baseline"], check["phi"]) == (alone["canary"], alone["baseline"], alone["phi"])
    assert "of each series the one with prometheus_replica='a' counts" in "".join(answer["warnings"])
    evaluate.stub.fails = lambda query: '"7ddf8"' in query
    assert evaluate() == (1, "rollback/harm")


def test_a_look_can_be_a_page_with_a_picture_as_well(evaluate: Evaluate, tmp_path: Path) -> None:
    file = tmp_path / "look.html"
    evaluate.stub.fails = lambda query: '"7ddf8"' in query
    assert evaluate("--html", str(file)) == (1, "rollback/harm")
    page = file.read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "<b class=rollback>" in page
    assert "harm shown at" in page
    evaluate.stub.body = lambda _: (503, "")
    assert evaluate("--html", str(file)) == (3, "continue/source_unavailable")
    assert "<svg" not in file.read_text(encoding="utf-8")
