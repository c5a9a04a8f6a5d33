"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sloctl.cli.report import FORMS

if TYPE_CHECKING:
    from sloctl.model.catalogue import Platform, Slo
    from sloctl.model.quantities import Duration

T = TypeVar("T")

paths = click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path())
root = click.option(
    "--root",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder that reading does not leave, neither upwards nor through links (default: the repository).",
)
strict = click.option("--strict", is_flag=True, help="Treat warnings as errors.")
form = click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    default="text",
    show_default=True,
    help="How findings are shown.",
)
text_or_json = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)


def prometheus(
    command: Callable[..., Any], *, required: bool = True, timeout: float = 30, later: bool = False
) -> Callable[..., Any]:
    """Which Prometheus is asked, and how; the command gets a `client`.

    Args:
        command: what is decorated.
        required: where it may be left out, the command gets None then.
        timeout: seconds for a query.
        later: the command gets `connect` instead, which makes a client with the token as it is then.
    """

    @click.option(
        "--prometheus",
        "url",
        envvar="SLOCTL_PROMETHEUS" if required else None,  # else it is a question that nobody asked
        required=required,
        metavar="URL",
        help="Address of Prometheus, Thanos or Mimir" + (" (SLOCTL_PROMETHEUS)." if required else "."),
    )
    @click.option(
        "--token-file",
        envvar="SLOCTL_TOKEN_FILE",
        type=click.Path(dir_okay=False, exists=True, path_type=Path),
        help="Bearer token (SLOCTL_TOKEN_FILE).",
    )
    @click.option(
        "--tenant",
        envvar="SLOCTL_TENANT",
        help="Tenant, sent as X-Scope-OrgID and THANOS-TENANT (SLOCTL_TENANT).",
    )
    @click.option("--ca", type=click.Path(dir_okay=False, exists=True), help="Certificates to trust.")
    @functools.wraps(command)
    def with_client(
        *words: Any, url: str | None, token_file: Path | None, tenant: str | None, ca: str | None, **options: Any
    ) -> Any:
        if url is None:
            return command(*words, client=None, **options)
        from sloctl.prometheus import PrometheusClient

        def connect() -> PrometheusClient:
            token = token_file.read_text(encoding="utf-8").strip() if token_file else None
            address = url if "://" in url else f"http://{url}"
            return PrometheusClient(address, token=token, tenant=tenant, ca=ca, timeout=timeout)

        return command(*words, **({"connect": connect} if later else {"client": connect()}), **options)

    return with_client


def tile_texts(platform: Platform, slo: Slo) -> tuple[str, str]:
    """The PromQL of all events of a tile and of the bad ones, as the rules of an SLO have it."""
    from sloctl import conventions

    rules, resolution = rule_texts(platform, slo), slo.sampling.resolution
    return rules[conventions.total_tile(resolution)], rules[conventions.errors_tile(resolution)]


def rule_texts(platform: Platform, slo: Slo) -> dict[str, str]:
    """The PromQL of each recording of an SLO, by its name."""
    from sloctl.backends.prometheus.backend import slo_groups

    rules = (rule for group in slo_groups(platform, slo) for rule in group.value()["rules"])
    return {rule["record"]: rule["expr"] for rule in rules if "record" in rule}


perhaps_prometheus = functools.partial(prometheus, required=False)
prometheus_soon = functools.partial(prometheus, timeout=5)
"""Where somebody waits for the answer."""
prometheus_slowly = functools.partial(prometheus, timeout=120)
"""Where a query reads months."""
prometheus_again = functools.partial(prometheus, timeout=5, later=True)
"""For a server."""


class Parsed(click.ParamType[T]):
    """The value that `parse` makes of a text; its ValueError says what to write."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name, self.parse = name, parse

    def convert(self, value: T | str, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """The value; what is one already, such as a default, stays."""
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("write Unix seconds or a time such as 2026-01-31T12:00:00Z") from error
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _length(text: str) -> Duration:
    from sloctl.language.quantities import duration

    try:
        return duration(text)
    except ValueError:
        raise ValueError(f"{text!r} is no duration; write 90s or 5m") from None


length = Parsed("duration", _length)
"""A duration such as `90s` or `5m`."""
moment = Parsed("time", _moment)
"""A time as Unix seconds."""
at = click.option("--at", type=moment, metavar="TIME", help="Look at a past moment (RFC 3339, UTC without a zone).")
