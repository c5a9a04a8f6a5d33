"""Log lines are JSON that the one ID finds, whatever they hold."""

import json
import logging
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

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


class Hostile:
    """Nothing can be said of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class HostileError(Exception):
    __str__ = Hostile.__str__


@pytest.mark.breaks_a_step
def test_a_call_with_wrong_arguments_keeps_its_text(observed: Configure) -> None:
    formatter = JsonFormatter(observed().runtime)
    assert line(formatter, record("%d apples", "many"))["message"] == "%d apples"
    assert line(formatter, record(Hostile()))["message"] == "<Hostile>"


def cycle() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else "deep"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        ([float("inf"), 0.5], [None, 0.5]),
        ("a\udcffb", "a\\udcffb"),
        (Path("a\udcffb"), "a\\udcffb"),
        ({"file": "a\udcffb"}, {"file": "a\\udcffb"}),
        ({(1, 2): 3, 4: 5, None: 6, "a\udcff": 7}, {"(1, 2)": 3, "4": 5, "None": 6, "a\\udcff": 7}),
        ({4: 5, None: 6, True: 7}, {"4": 5, "null": 6, "true": 7}),
        (cycle(), [1, "...[cut]"]),
        (2**80, "0x100000000000000000000"),
        ({"too many digits to write": 10**5000}, None),
        ({"set": {1}}, {"set": "{1}"}),
        (Hostile(), "<Hostile>"),
        ([Hostile()], ["<Hostile>"]),
        (b"bytes", "b'bytes'"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (nested(500), None),
    ],
)
def test_whatever_a_line_holds_it_is_json_and_keeps_message_and_id(
    observed: Configure, value: object, expected: object
) -> None:
    formatter = JsonFormatter(observed().runtime)
    with entered(RequestContext("request-0001")):
        text = formatter.format(record("sold", value=value))
    found = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    text.encode()
    assert (found["message"], found["request.id"]) == ("sold", "request-0001")
    if expected is not None:
        assert found["value"] == expected


def test_text_that_is_no_utf_8_reaches_the_stream(observed: Configure, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    handler.setFormatter(JsonFormatter(observed().runtime))
    handler.emit(record("a\udcffb"))
    handler.close()
    assert json.loads((tmp_path / "log").read_text())["message"] == "a\\udcffb"


def test_an_exception_without_text_and_a_stack_are_kept(observed: Configure) -> None:
    error = HostileError()
    made = record(stack_info="Stack (most recent call last): here")
    made.exc_info = (HostileError, error, None)
    found = line(JsonFormatter(observed().runtime), made)
    assert (found["exception.type"], found["exception.message"]) == ("HostileError", "<HostileError>")
    assert "HostileError" in found["exception.stacktrace"]
    assert found["code.stacktrace"] == "Stack (most recent call last): here"


ANYTHING = st.recursive(
    st.one_of(st.text(st.characters()), st.floats(), st.binary(), st.none(), st.integers()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.one_of(st.text(), st.integers()), inner)),
    max_leaves=8,
)


@pytest.mark.property
@given(st.text(st.characters()), st.dictionaries(st.text(min_size=1), ANYTHING))
def test_anything_is_one_line_of_json(message: str, extra: dict[str, Any]) -> None:
    text = JsonFormatter().format(record(message, **{f"x{key}": value for key, value in extra.items()}))
    assert "\n" not in text
    json.loads(text.encode(), parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
