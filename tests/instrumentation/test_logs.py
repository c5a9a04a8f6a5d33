"""Log lines are JSON that the one ID finds, whatever they hold."""

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.instrumentation import JsonFormatter, RequestContext
from sloctl.instrumentation.context import entered
from sloctl.instrumentation.logs import MAX_FIELD_BYTES
from tests.instrumentation.conftest import Configure


def record(message: object = "hello", *arguments: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("app", logging.INFO, __file__, 7, message, arguments, None)
    vars(made).update(more)
    return made


def line(formatter: JsonFormatter, made: logging.LogRecord) -> dict[str, Any]:
    text = formatter.format(made)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_line_says_who_wrote_it_for_which_request(observed: Configure) -> None:
    seen = observed()
    with (
        seen.runtime.provider.get_tracer("t").start_as_current_span("s") as span,
        entered(RequestContext("request-0001", tenant_id="acme")),
    ):
        found = line(JsonFormatter(seen.runtime), record("sold %d", 3, order="o-1"))
    context = span.get_span_context()
    assert found.pop("timestamp").endswith("+00:00")
    assert found == {
        "severity": "INFO",
        "message": "sold 3",
        "logger": "app",
        "service.name": "tracking-api",
        "k8s.pod.name": "tracking-api-0",
        "k8s.cluster.name": "here",
        "deployment.environment.name": "test",
        "request.id": "request-0001",
        "tenant.id": "acme",
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "order": "o-1",
    }


def test_line_breaks_and_escapes_stay_inside_the_line(observed: Configure) -> None:
    text = "two\r\nlines \x1b[31m"
    assert line(JsonFormatter(observed().runtime), record(text))["message"] == text


def test_a_field_above_eight_kib_is_cut(observed: Configure) -> None:
    found = line(JsonFormatter(observed().runtime), record("ä" * 10_000, more=["x" * 9000]))
    for name in ("message", "more"):
        assert len(found[name].encode()) <= MAX_FIELD_BYTES
        assert found[name].endswith("...[cut]")


def test_extra_fields_do_not_replace_ours(observed: Configure) -> None:
    found = line(JsonFormatter(observed().runtime), record(**{"service.name": "liar", "number": 7, "of": {"a": [1]}}))
    assert (found["service.name"], found["number"], found["of"]) == ("tracking-api", 7, {"a": [1]})


def test_an_exception_is_three_fields(observed: Configure) -> None:
    made = record()
    try:
        int("bad")
    except ValueError:
        made.exc_info = sys.exc_info()
    found = line(JsonFormatter(observed().runtime), made)
    assert (found["exception.type"], found["exception.message"]) == (
        "ValueError",
        "invalid literal for int() with base 10: 'bad'",
    )
    assert "Traceback" in found["exception.stacktrace"]


@pytest.mark.breaks_a_step
def test_a_line_is_never_lost(observed: Configure) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    formatter = JsonFormatter(observed().runtime)
    assert line(formatter, record("%d apples", "many"))["message"] == "%d apples"
    assert "could not be formatted" in line(formatter, record(extra_thing=Hostile()))["message"]


@pytest.mark.property
@given(st.text(), st.dictionaries(st.text(min_size=1), st.one_of(st.text(), st.floats(), st.binary(), st.none())))
def test_any_text_is_one_line_of_json(message: str, extra: dict[str, Any]) -> None:
    text = JsonFormatter().format(record(message, **{f"x{key}": value for key, value in extra.items()}))
    assert "\n" not in text
    json.loads(text)
