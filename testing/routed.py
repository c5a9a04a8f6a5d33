"""The whole chain on loopback: specifications, Prometheus, Alertmanager with merged routes, and the sink."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from testing.servers import Alertmanager, ServerError, alertmanager
from testing.sink import Sink, sink

BASE: Final = """\
# ours, not sloctl's
global:
  smtp_smarthost: 127.0.0.1:{smtp}
  smtp_from: alertmanager@example.com
  smtp_require_tls: false
  pagerduty_url: http://127.0.0.1:{http}/pagerduty
route:
  receiver: everybody   # whatever nobody claims
receivers:
  - name: everybody
    slack_configs:
      - api_url: http://127.0.0.1:{http}/slack
        channel: '#everybody'
"""
FAST: Final = (
    (r"group_wait: \w+", "group_wait: 1s"),
    (r"group_interval: \w+", "group_interval: 2s"),
    (r"https://hooks\.example\.com/\w+", "http://127.0.0.1:{http}/webhook"),
)


def sloctl(*words: str | Path) -> str:
    """Run the command; what it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "sloctl", *map(str, words)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ServerError(f"sloctl {' '.join(map(str, words))} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def configure(specs: Path, folder: Path, to: Sink, *, fast: bool = True) -> Path:
    """Merge the routes of the specifications, point them at the sink, and write every credential file that they name.

    Waits become seconds when `fast`; nothing else of the merged file is changed.
    """
    base, config, secrets = folder / "base.yml", folder / "alertmanager.yml", folder / "secrets"
    base.write_text(BASE.format(http=to.http, smtp=to.smtp))
    sloctl("routes", "merge", specs, "--base", base, "-o", config, "--secrets", secrets)
    text = config.read_text()
    for pattern, instead in FAST if fast else FAST[2:]:
        text = re.sub(pattern, instead.format(http=to.http), text)
    config.write_text(text)
    secrets.mkdir(exist_ok=True)
    for name in re.findall(rf"{re.escape(str(secrets))}/([\w.-]+)", text):
        (secrets / name).write_text(_credential(name, to))
    return config


def _credential(name: str, to: Sink) -> str:
    if name.startswith("slack-"):
        return f"http://127.0.0.1:{to.http}/slack"
    return name.removeprefix("pagerduty-").rjust(32, "0")


def write_spec(folder: Path, spec: str) -> None:
    """A specification in a folder of its own, because a Platform applies to all of its folder."""
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(spec)


@contextmanager
def routed(spec: str, folder: Path, *, fast: bool = True) -> Iterator[tuple[Sink, Alertmanager, Path]]:
    """An Alertmanager with the routes of a specification, the sink that it tells, and the folder of specifications."""
    specs = folder / "specs"
    write_spec(specs / "first", spec)
    with ExitStack() as stack:
        to = stack.enter_context(sink())
        server = stack.enter_context(alertmanager(configure(specs, folder, to, fast=fast)))
        yield to, server, specs


def scraping(services: Mapping[str, str], told: Alertmanager, interval: str) -> dict[str, object]:
    """Prometheus' configuration: jobs by name and address, and where alerts go."""
    return {
        "global": {"scrape_interval": interval},
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [told.url.removeprefix("http://")]}]}]},
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [url.removeprefix("http://")]}]}
            for name, url in services.items()
        ],
    }


def rules(specs: Path, folder: Path) -> list[Path]:
    """The generated rule files."""
    sloctl("generate", specs, "-o", folder / "out")
    return sorted((folder / "out" / "rules" / "prometheus").rglob("*.yaml"))
