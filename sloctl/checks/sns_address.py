"""A text message to no address.

Amazon SNS takes the ARN of a topic, which holds its region and account, or a telephone number in international
form. Anything else is refused when somebody should be paged. Write `arn:aws:sns:eu-west-1:123456789012:on-call` or
`'+4912345678'`.
"""

from __future__ import annotations

import re
from typing import Final

from sloctl.diagnostics import Diagnostics, Place
from sloctl.model.catalogue import Catalogue
from sloctl.model.ownership import Route

CODE: Final = "SLO143"
_ADDRESS: Final = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}|\+[1-9][0-9]{5,14}")


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every `sns` is an ARN or a telephone number."""
    for platform in catalogue.platforms:
        for route in (platform.fallback, platform.watchdog):
            _check(route, platform.place, found)
        for team in platform.teams.values():
            for route in (*team.severities.values(), *team.routes.values()):
                _check(route, team.place, found)


def _check(route: Route | None, place: Place, found: Diagnostics) -> None:
    if route is not None and route.sns is not None and not _ADDRESS.fullmatch(route.sns):
        message = f"`{route.sns}` is neither a topic nor a telephone number"
        help_ = "write a topic's ARN such as `arn:aws:sns:eu-west-1:123456789012:on-call`, or a number as '+4912345678'"
        found.error(CODE, place, message, help_)
