"""`sloctl status` as a person and as a program reads it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeAlias

import pytest

from sloctl.cli import main
from sloctl.live import status as live
from sloctl.live.status import Status

Run: TypeAlias = Callable[..., tuple[int, str]]
LONG = "a-service-with-a-name-of-its-own-availability-by-region-and-tenant"


def row(slo: str, consumed: float | None, **more: object) -> Status:
    return Status("shop", slo, "cart", 0.999, "30d", consumed=consumed, **more)  # type: ignore[arg-type]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code and all that is said, where a Prometheus records these."""

    def run(found: list[Status], *words: str) -> tuple[int, str]:
        monkeypatch.setattr(live, "read_status", lambda client, at=None: found)
        code = main(["status", "--prometheus", "http://127.0.0.1:1", *words])
        return code, "".join(capsys.readouterr())

    return run


def test_names_are_never_cut_where_there_is_no_terminal(run: Run) -> None:
    code, said = run([row(LONG, 0.5, split={"tenant": "t" * 60})])
    assert f"shop/{LONG} tenant={'t' * 60} " in said
    assert code == 0


def test_a_prometheus_without_rules_is_named_and_nothing_is_counted(run: Run) -> None:
    code, said = run([])
    assert code == 3
    assert "http://127.0.0.1:1 has no rules of sloctl: run `sloctl generate`" in said
    assert run([], "--format", "json") == (0, "[]\n")


@pytest.mark.parametrize(
    ("fail_on", "consumed", "code"),
    [
        ("exhausted", 1.0, 1),
        ("exhausted", 0.9, 0),
        ("at-risk", 0.9, 1),
        ("at-risk", 1.0, 1),
        ("at-risk", 0.5, 0),
        ("at-risk", None, 0),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_exit_code_tells_the_worst_state(
    run: Run, fail_on: str, consumed: float | None, code: int, form: str
) -> None:
    found, said = run([row("ok", 0.1), row("cart", consumed)], "--fail-on", fail_on, "--format", form)
    assert found == code
    assert ("shop/cart: exhausted" in said) == (code == 1)
    assert "shop/ok:" not in said


def test_watching_without_a_terminal_writes_one_table_after_the_other(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("sloctl.cli.status").time, "sleep", sleep)
    code, said = run([row("cart", 0.5)], "--watch", "--every", "7")
    assert code == 0
    assert said.count("shop/cart") == 2
    assert waits == [7, 7]
