"""`sloctl backfill`: usage that is refused before anything is read; tests/e2e runs it on a real Prometheus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sloctl.cli import main
from sloctl.cli.backfill import _check_joined
from sloctl.errors import SloctlError
from sloctl.history.backtest import Span
from sloctl.history.counting import Series
from sloctl.history.tiles import History, Tiles
from sloctl.live.history import Past
from sloctl.live.remote_write import RemoteSeries, snappy, write_request
from testing.histories import BEGIN, slo_of

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - {name: ok, objective: 99.9%, window: 7d, sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}, alerts: none}
"""
PROMETHEUS = ["--prometheus", "http://127.0.0.1:1"]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return str(tmp_path / "spec.yaml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "write --data FOLDER, where this Prometheus keeps its data, or --remote-write URL"),
        (["--data", ".", "--remote-write", "http://x"], "write --data FOLDER"),
        (["--data", ".", "--end", "2999-01-01"], "younger samples may still be in Prometheus' head"),
        (["--remote-write", "http://x", "--end", "2999-01-01"], "name a moment that has passed, such as 20"),
        (["--data", ".", "--start", "2026-01-02", "--end", "2026-01-01"], "before the end, 2026-01-01T00:00:00Z"),
        (["--data", ".", "--start", "yesterday"], "does not match the formats"),
    ],
)
def test_usage_that_is_wrong_is_refused(
    spec: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", spec, *PROMETHEUS, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_is_not_prometheus_data_is_refused(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "promtool").write_text("#!/bin/sh\necho 'promtool, version 2.53.0 (x)'\n")
    (tmp_path / "promtool").chmod(0o755)
    words = ["--data", str(tmp_path), "--promtool", str(tmp_path / "promtool")]
    assert main(["backfill", spec, *PROMETHEUS, *words]) == 3
    assert f"{tmp_path} is no data folder of Prometheus: it has no wal/" in capsys.readouterr().err


class Recorded:
    """A reader whose recordings begin at a moment, in Unix milliseconds, or never."""

    def __init__(self, begins: int | None) -> None:
        self.begins = begins

    def samples(self, *_: object) -> list[Series]:
        return [] if self.begins is None else [Series({}, np.array([self.begins]), np.array([1.0]))]


def test_rules_that_began_less_than_three_hours_ago_are_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    past = Past(slo_of(), {}, History.of(slo_of(), Tiles.nothing()))
    span = Span(0, BEGIN)
    _check_joined(past, Recorded(BEGIN + 60_000), span)  # type: ignore[arg-type]
    said = r"record since 2026-09-21T15:16:00Z, and .* run it after 2026-09-21T18:16:00Z"
    with pytest.raises(SloctlError, match=said):
        _check_joined(past, Recorded(BEGIN + 3_600_000), span)  # type: ignore[arg-type]
    assert capsys.readouterr().err == ""
    _check_joined(past, Recorded(None), span)  # type: ignore[arg-type]
    assert "the rules of cart-availability record nothing yet" in capsys.readouterr().err


def test_a_message_of_remote_write_has_labels_in_order_and_each_sample() -> None:
    at, values = np.array([1_790_000_000_123, 1_790_000_060_123]), np.array([1.0, -0.5])
    written = write_request([RemoteSeries({"b": "2", "__name__": "x"}, at, values)])
    labels = b"\x0a\x0d\x0a\x08__name__\x12\x01x" + b"\x0a\x06\x0a\x01b\x12\x012"
    first = b"\x12\x10\x09" + b"\x00\x00\x00\x00\x00\x00\xf0\x3f" + b"\x10" + b"\xfb\xd8\xc1\xa2\x8c\x34"
    assert written.startswith(b"\x0a" + bytes([len(labels) + 2 * len(first)]) + labels + first)
    assert len(written) == 2 + len(labels) + 2 * len(first)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 65_536, 65_537, 200_000])
def test_a_snappy_block_holds_its_length_and_literals(length: int) -> None:
    content = bytes(index % 251 for index in range(length))
    assert unpacked(snappy(content)) == content


def unpacked(block: bytes) -> bytes:
    """A block of literals as the format's description reads it."""
    expected, at, shift = 0, 0, 0
    while True:
        expected |= (block[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not block[at - 1] & 0x80:
            break
    found = b""
    while at < len(block):
        assert block[at] & 3 == 0, "only literals"
        size = block[at] >> 2
        more = size - 59 if size >= 60 else 0
        count = (int.from_bytes(block[at + 1 : at + 1 + more], "little") if more else size) + 1
        at += 1 + more
        found += block[at : at + count]
        at += count
    assert len(found) == expected
    return found
