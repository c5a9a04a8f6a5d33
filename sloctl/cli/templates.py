"""`sloctl templates`: the templates that come with sloctl."""

from __future__ import annotations

import click


@click.command()
@click.argument("name", required=False, metavar="[std/NAME]")
def templates(name: str | None) -> None:
    """List the templates for well-known sources of metrics, or print one.

    A Service takes one by `uses: [{template: std/istio, with: {service: cart, namespace: shop}}]`.
    """
    from sloctl.language.problems import did_you_mean
    from sloctl.language.std import std_names, std_text

    known = list(std_names())
    if name is None:
        width = max(map(len, known))
        for each in known:
            click.echo(f"{each:{width}}  {_first_sentence(std_text(each))}")
    elif name in known:
        click.echo(std_text(name), nl=False)
    else:
        help_ = did_you_mean(name, known) or "`sloctl templates` lists them"
        raise click.BadParameter(f"there is no template {name!r}; {help_}", param_hint="NAME")


def _first_sentence(text: str) -> str:
    """What a template is for: the first sentence of its comment."""
    comment = " ".join(line[2:] for line in text.splitlines() if line.startswith("#"))
    return comment.partition(". ")[0].rstrip(".")
