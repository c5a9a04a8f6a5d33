"""What the templates make Argo do, decided by its own controller: measured, judged and counted by its code.

See `controller.py`; the model of `test_loop.py` says the same, also for an Argo that lacks `consecutiveSuccessLimit`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.backends.argo.controller import endings
from tests.backends.argo.model import Answer, Run
from tests.backends.argo.test_loop import ARGUMENTS, GATE, GUARD, HOUR, says

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("argo")]  # it is built once

DEADLINE = 20 * 60.0
NO_JSON = {
    "a page": {"Status": 200, "Body": "<html>log in</html>"},
    "nothing": {"Status": 200, "Body": ""},
    "words": {"Status": 200, "Body": "promote"},
    "half an answer": {"Status": 200, "Body": '{"argo": {"verdict": "promote"'},
    "a login page after a redirect": {"Status": 302, "Location": "/login"},
}
OTHER_JSON = {
    "a text": {"Status": 200, "Body": '"promote"'},
    "a number": {"Status": 200, "Body": "1"},
    "null": {"Status": 200, "Body": "null"},
    "another object": {"Status": 200, "Body": '{"verdict": "promote"}'},
    "an array": {"Status": 200, "Body": '[{"argo": {"verdict": "promote"}}]'},
}
"""No verdict stands where it is looked for."""
PROMOTES, ROLLS_BACK, NOTHING = {"Value": 1.0}, {"Value": -1.0}, {"Value": None}


def verdict(word: str) -> dict[str, Any]:
    answer = says(word)
    assert answer is not None
    return {"Status": 200, "Body": answer[1]}


def story(
    template: dict[str, Any], *answers: dict[str, Any], gauges: tuple[dict[str, Any], ...] = (NOTHING,), **more: Any
) -> dict[str, Any]:
    spec = template["spec"]
    given = {
        argument["name"]: argument["value"]
        for argument in spec["args"]
        if "value" in argument and argument["name"] not in ADDRESSES
    }
    arguments = {**given, **ARGUMENTS, "token": "secret"}
    told = {"Metrics": spec["metrics"], "Args": arguments, "Answers": answers, "Gauges": gauges, "Seconds": HOUR}
    return {**told, **more}


ADDRESSES = {"server", "prometheus"}
Table = dict[str, tuple[dict[str, Any], str, float, float]]


def check(table: Table) -> None:
    """Each story ends in this phase, between these seconds."""
    found = endings([row[0] for row in table.values()])
    said = {name: (end["Phase"], end["Seconds"]) for name, end in zip(table, found, strict=True)}
    for name, (_, phase, least, most) in table.items():
        assert said[name][0] == phase, (name, said)
        assert least <= said[name][1] <= most, (name, said)


def test_no_answer_without_a_verdict_promotes(templates: dict[str, Any]) -> None:
    """Argo takes what is no JSON for a success; the gate is paused for a person all the same."""
    gate, guard = templates[GATE], templates[GUARD]
    table: Table = {}
    for name, answer in NO_JSON.items():
        table[name] = (story(gate, answer), "Inconclusive", DEADLINE, DEADLINE + 300)
        table[f"{name}, Prometheus is away"] = (story(gate, answer, gauges=({"Down": True},)), "Error", DEADLINE, HOUR)
        table[f"{name}, rolled back"] = (story(gate, answer, gauges=(ROLLS_BACK,)), "Failed", 0, 0)
        table[f"{name}, the guard"] = (story(guard, answer), "Running", HOUR, HOUR + 60)
        late = story(guard, answer, gauges=(NOTHING, {"From": 600, **ROLLS_BACK}))
        table[f"{name}, rolled back later, the guard"] = (late, "Failed", 600, 640)
    for name, answer in OTHER_JSON.items():
        table[name] = (story(gate, answer), "Error", 100, 200)
        table[f"{name}, the guard"] = (story(guard, answer), "Error", 100, 200)
    check(table)


def test_verdicts_do_what_they_say(templates: dict[str, Any]) -> None:
    gate, guard = templates[GATE], templates[GUARD]
    later = {"From": 15 * 60, **verdict("promote")}, {"From": 16 * 60, **PROMOTES}
    away, hangs = {"Status": 0}, {"Status": 0, "Hangs": True}
    down = ({"Down": True},)
    undecided = verdict("continue")
    check(
        {
            "promote": (story(gate, verdict("promote"), gauges=(PROMOTES,)), "Successful", 0, 0),
            "late": (story(gate, undecided, later[0], gauges=(NOTHING, later[1])), "Successful", 960, 1020),
            "rollback": (story(gate, verdict("rollback")), "Failed", 0, 0),
            "rollback, the guard": (story(guard, verdict("rollback")), "Failed", 0, 0),
            "undecided": (story(gate, undecided), "Inconclusive", DEADLINE, DEADLINE + 300),
            "undecided, the guard": (story(guard, undecided), "Running", HOUR, HOUR + 60),
            "Prometheus is away": (story(gate, undecided, gauges=down), "Inconclusive", DEADLINE, DEADLINE + 300),
            "Prometheus is away, the guard": (story(guard, undecided, gauges=down), "Running", HOUR, HOUR + 60),
            "the server is away": (story(gate, away), "Error", 140, 200),
            "the server hangs": (story(gate, hangs), "Error", 280, 330),
            "the server hangs, the guard": (story(guard, hangs), "Error", 280, 330),
            "away for two minutes": (
                story(gate, undecided, {"From": 60, **away}, {"From": 180, **undecided}),
                "Inconclusive",
                DEADLINE,
                DEADLINE + 400,
            ),
        }
    )


def test_a_dry_run_goes_on_whatever_is_said(templates: dict[str, Any]) -> None:
    dry = {"DryRun": [{"metricName": metric["name"]} for metric in templates[GATE]["spec"]["metrics"]]}
    bad = story(templates[GATE], verdict("continue"), {"From": 600, **verdict("rollback")}, gauges=(ROLLS_BACK,), **dry)
    check({"a bad version": (bad, "Successful", 600, 660)})


def test_the_model_of_the_loop_agrees_with_argo(templates: dict[str, Any]) -> None:
    """On the metric that asks the webhook, alone."""
    answers: list[Answer] = [says("promote"), says("rollback"), says("continue"), (503, "{}"), None, (200, "<html>")]
    for name in (GATE, GUARD):
        template = templates[name]
        alone = {**template, "spec": {**template["spec"], "metrics": template["spec"]["metrics"][:1]}}
        told = [
            {"Status": 0, "Hangs": True} if answer is None else {"Status": answer[0], "Body": answer[1]}
            for answer in answers
        ]
        real = endings([story(alone, each) for each in told])
        for answer, end in zip(answers, real, strict=True):
            phase, when = Run(template, ARGUMENTS, lambda *_, said=answer: said).until(HOUR)
            assert (phase.value, when) == (end["Phase"], pytest.approx(end["Seconds"], abs=60)), (name, answer)


def test_what_argo_keeps_of_an_answer_is_small(templates: dict[str, Any]) -> None:
    assert len(json.dumps(json.loads(verdict("promote")["Body"])["argo"])) < 400
