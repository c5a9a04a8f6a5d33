"""A canary that goes on without having been seen.

`when_missing: promote` lets a step go on at its deadline when too few requests came to judge the version and none of
them failed. That is for services that sleep at night. It also promotes where the samples of the canary are missed for
another reason, such as a label that pods do not have or a metric that was renamed.

Where a few synthetic requests can be sent to the canary, send them and write `when_missing: hold` instead.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.canary import WhenMissing
from sloctl.model.catalogue import Catalogue

CODE: Final = "SLO149"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """No canary promotes what nobody has seen, without that being said."""
    for platform in catalogue.platforms:
        for service in platform.services:
            canary = service.canary
            if canary is not None and canary.when_missing is WhenMissing.PROMOTE:
                found.warning(
                    CODE,
                    canary.place,
                    f"a version of {service.name} that nobody uses by the deadline is promoted unseen",
                    "send the canary some requests of your own and write `when_missing: hold`",
                )
