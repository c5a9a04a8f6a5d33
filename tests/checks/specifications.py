"""Specifications as short as a check needs them, and what is found in them."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

from sloctl.compiler import load
from sloctl.diagnostics import Diagnostic, Diagnostics

HEAD = "apiVersion: sloctl/v1\nkind: {}\n"
RATIO = "{ratio: {total: requests_total, bad_if: 'code=~\"5..\"'}}"
FRESH = "{freshness: {timestamp: last_order_timestamp_seconds, max_age: 15m, across: all}}"


def specification(*slos: str, platform: str | None = None) -> str:
    """A service with these SLOs, each a flow mapping, below a platform with these further lines."""
    service = f"{HEAD.format('Service')}service: checkout\nrunbook: https://a.example\nslos:\n"
    above = "" if platform is None else f"{HEAD.format('Platform')}name: shop\n{platform}\n---\n"
    return above + service + "".join(f"  - {slo}\n" for slo in slos)


def slo(alerts: str = "google", objective: str = "99.9%", sli: str = RATIO, more: str = "", name: str = "ok") -> str:
    """One SLO as a flow mapping."""
    return f"{{name: {name}, objective: {objective}, sli: {sli}, alerts: {alerts}{', ' if more else ''}{more}}}"


def findings(text: str, code: str, today: date | None = None) -> list[Diagnostic]:
    """What is found in a specification under this code; anything else that stops the run fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.yaml")
        path.write_text(text)
        found = Diagnostics()
        load([str(path)], found, today=today)
    assert not [error for error in found.errors if error.code != code], found.errors
    return [finding for finding in found if finding.code == code]
