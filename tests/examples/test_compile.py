"""`make demo-compile`: what is committed is what the specifications say."""

from __future__ import annotations

import subprocess
import sys

from testing.servers import ROOT


def test_the_specifications_compile_to_what_is_committed() -> None:
    command = [sys.executable, "-m", "examples.demo.compile"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "rules/prometheus/routemesh/tracking-api.yaml" in ran.stdout
    assert ran.stdout.endswith("Everything is up to date.\n")
