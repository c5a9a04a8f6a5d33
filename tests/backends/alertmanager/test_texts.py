"""What notifications say, rendered by Alertmanager's own template engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sloctl.backends.alertmanager import texts
from tests.conftest import program

pytestmark = pytest.mark.server


def rendered(folder: Path, template: str, status: str, summary: str, description: str = "Follow: the runbook.") -> str:
    labels = {"slo": "cart-ok", "severity": "P1", "platform": "shop", "burn_tier": "p1-1h"}
    alert = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": summary, "description": description},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
    }
    data = {"status": status, "alerts": [alert], "groupLabels": {}, "commonLabels": labels, "commonAnnotations": {}}
    (folder / "empty.tmpl").write_text('{{ define "empty" }}{{ end }}')
    (folder / "data.json").write_text(json.dumps(data))
    command = [
        program("amtool"),
        "template",
        "render",
        f"--template.glob={folder}/*.tmpl",
    ]
    ran = subprocess.run(
        [*command, f"--template.text={template}", f"--template.data={folder}/data.json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


BAD = "cart-ok for tenant t: 26% of events are bad over 1h, above 14.4x the error budget"


def test_a_title_names_the_slo_once(tmp_path: Path) -> None:
    assert rendered(tmp_path, texts.HEADLINE, "firing", BAD) == f"[P1] {BAD}"
    assert rendered(tmp_path, texts.HEADLINE, "firing", "Carts fail") == "[P1] cart-ok: Carts fail"


def test_what_is_over_is_told_in_the_past_tense(tmp_path: Path) -> None:
    assert rendered(tmp_path, texts.HEADLINE, "resolved", BAD) == f"[resolved] {BAD.replace('are', 'were')}"
    chat = rendered(tmp_path, texts.CHAT, "resolved", "cart-ok: 3% of the error budget is left")
    assert chat == "*cart-ok: 3% of the error budget was left* (resolved)"
    assert rendered(tmp_path, texts.CHAT, "firing", "It is bad") == "*It is bad*\nFollow: the runbook."


def test_details_are_no_mapping_where_they_are_read_as_yaml(tmp_path: Path) -> None:
    assert rendered(tmp_path, texts.DETAILS["description"], "firing", BAD) == "Follow - the runbook."
