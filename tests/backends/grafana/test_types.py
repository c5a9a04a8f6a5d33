"""The types of `@grafana/schema`, which Grafana itself is compiled with, accept every dashboard."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.backends.grafana.conftest import Dashboards
from tests.node import node_packages

PACKAGES = ("@grafana/schema@11.6.0", "typescript@5.8.3")
# Left out: annotations, whose types lack the keys that the Prometheus data source reads (`expr`, `titleFormat`).
# JSON holds the values of enumerations, so their types are loosened to those values; keys stay as strict as they are.
HEAD = """
import type { Dashboard } from "@grafana/schema";
type Loose<T> = T extends string ? `${T}` : T extends number ? number : T extends boolean ? boolean
  : T extends (infer U)[] ? Loose<U>[] : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;
"""


def type_errors(dashboards: dict[str, Any], folder: Path) -> list[str]:
    modules = node_packages(*PACKAGES)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    lines = [
        f"export const d{index}: Loose<Dashboard> = {json.dumps({**dashboard, 'annotations': {'list': []}})};"
        for index, dashboard in enumerate(dashboards.values())
    ]
    (folder / "all.ts").write_text("\n".join([HEAD, *lines]))
    words = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node", "--target", "es2020", "all.ts"]
    ran = subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return [line for line in ran.stdout.splitlines() if "error TS" in line]


def test_grafanas_own_types_accept_every_dashboard(dashboards: Dashboards, tmp_path: Path) -> None:
    assert type_errors(dict(dashboards), tmp_path) == []


def test_the_types_notice_an_unknown_key_and_an_unknown_word(dashboards: Dashboards, tmp_path: Path) -> None:
    broken = json.loads(json.dumps(dashboards["dashboards/retailflow/tenant.json"]))
    broken["notAKey"] = 1
    other = json.loads(json.dumps(dashboards["dashboards/retailflow/tenant.json"]))
    other["links"][0]["type"] = "not-a-type"
    assert len(type_errors({"a": broken, "b": other}, tmp_path)) == 2
