import math

import pytest

from bench.rows import Row, show


@pytest.mark.parametrize(("measured", "ok"), [(1.0, False), (2.0, True), (3.0, True), (3.1, False), (math.nan, False)])
def test_a_row_is_ok_within_its_target(measured: float, ok: bool) -> None:
    assert Row("samples", measured, at_least=2, at_most=3).ok is ok


def test_a_row_without_a_target_is_refused() -> None:
    with pytest.raises(ValueError, match="samples has no target"):
        Row("samples", 1)


def test_one_miss_or_nothing_measured_fails_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("good", [Row("a", 1, at_most=1)])
    assert not show("bad", [Row("a", 1, at_most=1), Row("b", 2, at_most=1)])
    assert not show("empty", [])
    assert "NO" in capsys.readouterr().out
