"""A message is handled in the context that it carries; batches link, single messages continue."""

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from sloctl.instrumentation import carriers, consume, current, runtime
from sloctl.instrumentation.carriers import Incoming
from tests.instrumentation.conftest import Configure

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FIELDS = {"x-request-id": "request-0001", "traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01", "x-tenant-id": "acme"}


def test_a_single_message_continues_the_senders_trace(observed: Configure) -> None:
    there = observed()
    with consume(Incoming("sqs", FIELDS), name="ship", runtime=there.runtime) as context:
        assert current() is context
        assert (context.request_id, context.tenant_id, context.origin) == ("request-0001", "acme", "sqs")
    assert current() is None
    assert there.span.parent is not None
    assert f"{there.span.parent.span_id:016x}" == SPAN_ID
    assert (there.span.attributes or {})["messaging.system"] == "aws_sqs"
    assert (there.span.attributes or {})["request.id"] == "request-0001"


@pytest.mark.parametrize(
    ("batch", "relation", "linked"),
    [(False, "auto", False), (True, "auto", True), (False, "link", True), (True, "parent", False)],
)
def test_the_relation(observed: Configure, batch: bool, relation: Any, linked: bool) -> None:
    there = observed()
    with consume(
        Incoming("sqs", FIELDS, batch=batch), name="ship", relation=relation, runtime=there.runtime
    ) as context:
        assert context.request_id == "request-0001"
        assert [f"{link.span_id:016x}" for link in context.links] == ([SPAN_ID] if linked else [])
    assert (there.span.parent is None) is linked
    assert [f"{link.context.span_id:016x}" for link in there.span.links] == ([SPAN_ID] if linked else [])


@pytest.mark.parametrize("fields", [{}, {"x-request-id": "bad id"}, {"traceparent": "nonsense"}, {"x-request-id": 7}])
def test_a_message_without_a_valid_context_gets_a_new_one(observed: Configure, fields: Any) -> None:
    there = observed()
    with consume(Incoming("kafka", fields), name="ship", runtime=there.runtime) as context:
        context_of_span = trace.get_current_span().get_span_context()
        assert context.request_id == f"{context_of_span.trace_id:032x}"
    assert there.span.parent is None


def test_an_exception_is_on_the_span_and_goes_on(observed: Configure) -> None:
    there = observed()
    with pytest.raises(KeyError), consume(Incoming("sqs", FIELDS), name="ship", runtime=there.runtime):
        raise KeyError("weight")
    assert there.span.status.status_code is StatusCode.ERROR
    assert (there.span.attributes or {})["error.type"] == "KeyError"
    assert current() is None


def test_a_removal_says_whose_id_it_has(observed: Configure) -> None:
    there = observed()
    removed = {"eventName": "REMOVE", "dynamodb": {"OldImage": {"_ctx": FIELDS}}}
    with consume(carriers.dynamodb.extract(removed), name="forget", runtime=there.runtime):
        pass
    assert (there.span.attributes or {})["request.id.of_last_writer"] is True


def test_each_message_of_a_loop_has_its_own_context(observed: Configure) -> None:
    there = observed()
    seen = []
    for number in range(100):
        fields = {"x-request-id": f"request-{number:04}"}
        with consume(Incoming("kafka", fields, batch=True), name="ship", runtime=there.runtime) as context:
            seen.append(context.request_id)
    assert seen == [f"request-{number:04}" for number in range(100)]
    assert current() is None


def test_without_configure_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_default", None)
    with (
        pytest.raises(RuntimeError, match=r"call sloctl\.instrumentation\.configure"),
        consume(Incoming("sqs"), name="x"),
    ):
        pass


def test_an_unknown_relation_is_refused(observed: Configure) -> None:
    wrong: Any = "child"
    with pytest.raises(ValueError, match="relation is"), consume(Incoming("sqs"), name="x", relation=wrong):
        pass
