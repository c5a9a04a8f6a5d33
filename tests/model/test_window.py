"""Windows and their texts."""

from __future__ import annotations

import pytest

from sloctl.model.quantities import DAY
from sloctl.model.window import Calendar, CalendarWindow, RollingWindow, Window, parse_window


@pytest.mark.parametrize("window", [RollingWindow(DAY * 30), CalendarWindow(Calendar.QUARTER, "Asia/Kolkata")])
def test_the_text_of_a_window_reads_back(window: Window) -> None:
    assert parse_window(str(window)) == window


@pytest.mark.parametrize("text", ["", "month", "fortnight (UTC)"])
def test_another_text_is_no_window(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parse_window(text)
