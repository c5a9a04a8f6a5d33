"""Ten thousand header sets: no response changes, and no step of ours fails. The benchmark runs ten times as many."""

import random

import pytest

from sloctl.instrumentation import ContextMiddleware, current
from sloctl.instrumentation.context import valid_id
from sloctl.instrumentation.metrics import SEMCONV_BUCKETS, HttpMetrics
from testing.asgi import call
from testing.fuzzing import header_set, plain, without_id
from tests.instrumentation.conftest import Configure

pytestmark = pytest.mark.anyio
CASES = 10_000


@pytest.mark.parametrize("trust", ["edge", "internal"])
async def test_no_header_set_changes_a_response_or_reaches_a_log(
    observed: Configure, trust: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    there = observed(baggage=["plan"], sample_ratio=0.1)
    metrics = HttpMetrics(there.runtime.registry, SEMCONV_BUCKETS, tenants=20)
    wrapped = ContextMiddleware(plain, there.runtime, trust=trust, metrics=metrics)  # type: ignore[arg-type]
    draw = random.Random(20260101)
    for _ in range(CASES // 2):
        headers = header_set(draw)
        bare, ours = await call(plain, "/x", headers), await call(wrapped, "/x", headers)
        assert without_id(ours.messages) == bare.messages
        assert valid_id(ours.request_id) == ours.request_id
        assert ours.error is None
    assert sum(there.counted().values()) == CASES // 2
    assert current() is None
    assert [record for record in caplog.records if record.name not in ("asyncio", "sloctl.entry")] == []
