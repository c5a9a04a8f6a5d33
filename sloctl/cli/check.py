"""`sloctl check --deployed`: whether what the specifications compile to is what runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli import options
from sloctl.cli.report import as_json, counted, escaped, loaded
from sloctl.errors import SloctlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sloctl.model.catalogue import Catalogue
    from sloctl.prometheus import PrometheusClient


@click.command()
@options.paths
@click.option("--deployed", is_flag=True, required=True, help="Compare with what a Prometheus has loaded.")
@options.prometheus
@click.option("--alertmanager", metavar="URL", help="Compare the routes with an Alertmanager's as well.")
@options.root
@options.text_or_json
def check(
    paths: tuple[str, ...],
    client: PrometheusClient,
    alertmanager: str | None,
    root: Path | None,
    form: str,
    *,
    deployed: bool,
) -> None:
    """Compare what the specifications (default: slo-specs) compile to with what runs.

    Exit code 1 where rules are missing, different, failing, late or left over, or routes are not there.
    """
    assert deployed
    catalogue = loaded(paths, root, only_errors=True)
    with client:
        found = list(_rules(catalogue, client))
    if alertmanager is not None:
        found += _routes(catalogue, alertmanager)
    if form == "json":
        click.echo(as_json({"found": found}))
    else:
        for sentence in found:
            click.echo(escaped(sentence))
    if found:
        raise SloctlError(f"{counted(len(found), 'difference')} between the specifications and {client.url}")
    if form == "text":
        click.echo(f"{client.url} runs what the specifications compile to.")


def _rules(catalogue: Catalogue, client: PrometheusClient) -> Iterator[str]:
    from sloctl.backends.prometheus.backend import platform_groups, service_groups
    from sloctl.live.deployed import laid_out, loaded_groups
    from sloctl.proof.compared import differences

    running = loaded_groups(client, time.time())
    by_name: dict[str, list[Any]] = {}
    for one in running:
        by_name.setdefault(str(one.group["name"]), []).append(one.group)
    meant = {
        group.name: laid_out(group.value())
        for platform in catalogue.platforms
        for groups in (*(service_groups(platform, service) for service in platform.services), platform_groups(platform))
        for group in groups
    }
    for group in meant.values():
        yield from differences(group, by_name)
    ours = {platform.name for platform in catalogue.platforms}
    begins = tuple(f"slo-{name}-" for name in ours)
    for one in running:
        name = str(one.group["name"])
        if name in meant:
            yield from one.faults
        elif one.platforms & ours or name.startswith(begins):
            yield f"group {name} is loaded and no specification compiles to it"


def _routes(catalogue: Catalogue, url: str) -> Iterator[str]:
    """Whether an Alertmanager routes as the specifications say; texts and times of receivers are not compared."""
    from sloctl.alertmanager import configuration
    from sloctl.backends.alertmanager.base import read_routes
    from sloctl.backends.alertmanager.routes import route_tree
    from sloctl.rendering import to_yaml

    there = read_routes(configuration(url), url)
    meant = read_routes(to_yaml({"route": {"receiver": "x", "routes": [route_tree(catalogue).value()]}}), "routes")
    if there is None:
        yield f"{url} has no routes of sloctl: merge them with `sloctl routes merge`"
    elif there != meant:
        yield f"{url} routes otherwise than the specifications say: see `sloctl routes diff`, then merge them again"
