"""`sloctl init`: a first Platform and a first Service, to be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from sloctl.cli.files import write
from sloctl.errors import SloctlError

_EDITOR: Final = "# yaml-language-server: $schema=slo.schema.json\n"
PLATFORM: Final = (
    _EDITOR
    + """\
# What all services in this folder and below it share. Every key but the first three may be left out, and a service
# or an SLO may say otherwise; `sloctl show` prints what is in force and where it comes from.
apiVersion: sloctl/v1
kind: Platform
name: my-platform                             # label `platform` of everything that is generated

window: 30d                                   # the objectives hold over this long
alerts: google                                # two burn rates page, two are tickets; `sloctl explain` shows them
scrape_interval: 30s                          # of the metrics below
runbook: https://runbooks.example.com/$service/$slo

team: my-team                                 # of services that name none
teams:
  my-team:
    P1: {pagerduty: my-team}                  # somebody is woken; keys and tokens are never written here
    P2: {slack: '#my-team'}                   # quote what begins with #
    P3: {email: my-team@example.com}
"""
)
SERVICE: Final = (
    _EDITOR
    + """\
# What one service promises: the share of good events, and the metrics that count them.
apiVersion: sloctl/v1
kind: Service
service: my-service

slos:
  - name: availability
    description: Requests are answered without a server error.
    objective: 99.9%
    traffic: 50/s                             # what is usual; `sloctl explain` says what that means for the alerts
    sli:
      ratio:
        total: http_requests_total{job="my-service"}
        bad_if: code=~"5.."                   # requests of `total` that also match are bad

  - name: latency                             # 99 % of the requests take at most 500 ms
    description: Requests are answered quickly.
    objective: 99%
    sli:
      latency:
        histogram: http_request_duration_seconds{job="my-service"}
        at_most: 500ms                        # a bound of one of its buckets
"""
)
FILES: Final = {"platform.yaml": PLATFORM, "my-service.yaml": SERVICE}


@click.command()
@click.argument("folder", default="slo-specs", metavar="[DIR]")
def init(folder: str) -> None:
    """Write a first Platform and a first Service into DIR (default: slo-specs), with comments.

    Nothing is overwritten: DIR may not hold specifications yet.
    """
    from sloctl.language.schema import schema_text

    target = Path(folder)
    _refuse_to_overwrite(target)
    for name, content in {**FILES, "slo.schema.json": schema_text()}.items():
        write(target / name, content)
        click.echo(f"wrote {target / name}")
    click.echo(f"Change them, then run `sloctl validate {folder}` and `sloctl generate {folder}`.")


def _refuse_to_overwrite(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise SloctlError(f"{target} is a file: name a folder")
    present = sorted(path for suffix in ("yaml", "yml") for path in target.rglob(f"*.{suffix}"))
    if present:
        raise SloctlError(f"{present[0]} is there already: name another folder, or add to the specifications there")
