"""Every receiver that Alertmanager knows can be told, and a receiver that is there already can be named."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloctl.cli import main
from tests.backends.alertmanager.catalogues import ONE
from tests.conftest import program

BASE = """\
global: {smtp_smarthost: 'localhost:25', smtp_from: a@example.com}
route: {receiver: theirs}
receivers:
  - name: theirs
  - name: Ops on-call
"""
KINDS = {
    "opsgenie": ("opsgenie: web", {"api_key_file": "/etc/alertmanager/secrets/opsgenie-web", "priority": "P1"}),
    "victorops": ("victorops: web", {"routing_key": "web", "message_type": "CRITICAL"}),
    "pushover": ("pushover: web", {"user_key_file": "/etc/alertmanager/secrets/pushover-web"}),
    "msteamsv2": ("msteams: web, wakes: true", {"webhook_url_file": "/etc/alertmanager/secrets/msteams-web"}),
    "telegram": ("telegram: -1001, wakes: true", {"chat_id": -1001}),
    "discord": ("discord: web, wakes: true", {"webhook_url_file": "/etc/alertmanager/secrets/discord-web"}),
    "webex": ("webex: Y2lzY29, wakes: true", {"room_id": "Y2lzY29"}),
    "webhook": ("webhook: 'http://bridge.ops.svc:8080/x', wakes: true", {"url": "http://bridge.ops.svc:8080/x"}),
}
KNOWN_TO_0_25 = {"opsgenie", "victorops", "webex", "webhook"}
"""The others need what later versions brought: files for their secrets, and Microsoft Teams."""


def spec(route: str) -> str:
    return ONE.replace("{pagerduty: web, slack: '#web-pages'}", f"{{{route}}}")


def merged(route: str, folder: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[Path, str]:
    (folder / "spec.yaml").write_text(spec(route))
    (folder / "base.yml").write_text(BASE)
    out = folder / "alertmanager.yml"
    words = ["routes", "merge", str(folder / "spec.yaml"), "--root", str(folder)]
    assert main([*words, "--base", str(folder / "base.yml"), "-o", str(out)]) == code
    return out, capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_reaches_each_kind_of_receiver(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    route, expected = KINDS[kind]
    out, _ = merged(route, tmp_path, capsys)
    receivers: list[dict[str, Any]] = yaml.safe_load(out.read_text())["receivers"]
    [page] = [each for each in receivers if each["name"] == "slo-shop-web-P1"]
    [config] = page[f"{kind}_configs"]
    assert expected.items() <= config.items()
    assert config["send_resolved"] is True


@pytest.mark.parametrize("kind", sorted(KNOWN_TO_0_25))
def test_amtool_accepts_what_its_version_knows(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    amtool = program("amtool")
    out, _ = merged(KINDS[kind][0], tmp_path, capsys)
    done = subprocess.run([amtool, "check-config", out], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_receiver_of_the_base_is_named_and_not_written_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program("amtool")
    out, _ = merged("receiver: Ops on-call, wakes: true", tmp_path, capsys)
    value = yaml.safe_load(out.read_text())
    assert [each["name"] for each in value["receivers"]].count("Ops on-call") == 1
    platform = value["route"]["routes"][0]["routes"][-1]
    team = next(route for route in platform["routes"] if "P1" in str(route) and "routes" in route)
    assert team["routes"][0]["receiver"] == "Ops on-call"
    words = ["routes", "test", str(tmp_path / "spec.yaml"), "--root", str(tmp_path)]
    assert main([*words, "--base", str(tmp_path / "base.yml")]) == 0, capsys.readouterr().err


def test_a_receiver_that_the_base_lacks_is_named_with_those_that_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said = merged("receiver: on-call, wakes: true", tmp_path, capsys, code=1)
    assert "base.yml:4:3: there is no receiver `on-call`, which a route names" in said
    assert "write one of `theirs`, `Ops on-call` as `receiver` of the route" in said


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("msteams: web", "the P1 route pages nobody"),
        ("receiver: x", "the P1 route pages nobody"),
        ("wakes: true", "the route leads nowhere"),
        ("receiver: x, pagerduty: y", "`receiver`"),
        ("webhook: 'http://example.com/x', wakes: true", "is not an https link"),
        ("telegram: '@ops', wakes: true", "is not a chat's number"),
        ("opsgeni: x", "unknown key `opsgeni`"),
    ],
)
def test_a_route_that_cannot_be_is_refused(
    route: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = merged(route, tmp_path, capsys, code=1)
    assert said in found
