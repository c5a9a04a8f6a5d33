"""Codes of what can be wrong between documents; the page of each is in `codes.md`.

A code keeps its meaning for ever; SLO050 to SLO099 belong to resolving.
"""

from __future__ import annotations

from typing import Final

TWO_PLATFORMS: Final = "SLO050"
TWO_SERVICES: Final = "SLO051"
TWO_IDS: Final = "SLO052"
PROMQL: Final = "SLO053"
UNKNOWN_POLICY: Final = "SLO054"
UNKNOWN_TEAM: Final = "SLO055"
MISSING_KEY: Final = "SLO056"
UNKNOWN_ZONE: Final = "SLO057"
UNKNOWN_SLI: Final = "SLO058"
SAMPLING: Final = "SLO059"
TIER_LENGTH: Final = "SLO060"
PLACEHOLDER: Final = "SLO061"
MATCHER_CONFLICT: Final = "SLO062"
WRONG_KIND: Final = "SLO063"
SPLIT_LABEL: Final = "SLO064"
UNKNOWN_ROUTE: Final = "SLO065"
UNIT: Final = "SLO066"
UNKNOWN_TEMPLATE: Final = "SLO067"
TWO_TEMPLATES: Final = "SLO068"
SLA_WINDOW: Final = "SLO069"
UNKNOWN_SLO: Final = "SLO070"
CANARY: Final = "SLO071"
TWO_CANARIES: Final = "SLO072"
