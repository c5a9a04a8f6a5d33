"""`sloctl init`: a first Platform and a first Service, to be changed."""

from __future__ import annotations

import re
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli import options
from sloctl.cli.files import write
from sloctl.cli.report import counted
from sloctl.errors import SloctlError

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient

FILES: Final = ("platform.yaml", "my-service.yaml")
"""What stands in the folder `first` beside this module."""


@click.command()
@click.argument("folder", default="slo-specs", metavar="[DIR]")
@options.perhaps_prometheus
def init(folder: str, client: PrometheusClient | None) -> None:
    """Write a first Platform and a first Service into DIR (default: slo-specs), with comments.

    Nothing is overwritten: DIR may not hold specifications yet. With --prometheus the Platform gets the scrape interval
    and the target labels that are really there, and the Services are those that `sloctl discover` finds, if any.
    """
    from sloctl.language.schema import schema_text

    target = Path(folder)
    _refuse_to_overwrite(target)
    first = {name: resources.files(__package__).joinpath("first", name).read_text(encoding="utf-8") for name in FILES}
    if client is not None:
        with client:
            first["platform.yaml"] = _as_it_is(first["platform.yaml"], client)
            if services := _discovered(client):
                first = {"platform.yaml": first["platform.yaml"], **services}
    for name, content in {**first, "slo.schema.json": schema_text()}.items():
        write(target / name, content)
        click.echo(f"wrote {target / name}")
    click.echo(f"Change them, then run `sloctl validate {folder}` and `sloctl generate {folder}`.")


def _discovered(client: PrometheusClient) -> dict[str, str]:
    """The specifications of the services that are recognised, by file name."""
    from sloctl.discovery.proposals import discover
    from sloctl.model.quantities import DAY, MINUTE, Rate

    seen = discover(client, DAY * 30, Rate(Decimal(1), MINUTE))
    origin = f"{client.url} and its last {seen.over}"
    return {f"{proposal.service}.yaml": proposal.text(origin) for proposal in seen.proposals if proposal.uses}


def _as_it_is(platform: str, client: PrometheusClient) -> str:
    """The Platform with what a Prometheus says of its targets."""
    from sloctl.live.surroundings import look_around

    seen = look_around(client)
    labels = f"target_labels: [{', '.join(seen.target_labels)}]"
    scraped = f"scrape_interval: {seen.scrape_interval}"
    lines = (
        f"{scraped:<46}# as {client.url} scrapes {counted(seen.targets, 'target')}\n"
        f"{labels:<46}# these tell them apart\n"
    )
    return re.sub(r"^scrape_interval: .*\n", lambda _: lines, platform, flags=re.MULTILINE)


def _refuse_to_overwrite(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise SloctlError(f"{target} is a file: name a folder")
    present = sorted(path for suffix in ("yaml", "yml") for path in target.rglob(f"*.{suffix}"))
    if present:
        raise SloctlError(f"{present[0]} is there already: name another folder, or add to the specifications there")
