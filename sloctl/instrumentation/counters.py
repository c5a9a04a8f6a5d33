"""The counters of the instrumentation itself: in each registry that `configure` is given, and in no other."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

FAILURES: Final = Counter(
    "sloctl_instrumentation_failures",
    "Steps of the instrumentation that failed; the request or message went through unchanged.",
    ["step"],
    registry=None,
)
REJECTED: Final = Counter(
    "sloctl_instrumentation_rejected",
    "Inbound values that were ignored because they are malformed, too long or not allowed.",
    ["input"],
    registry=None,
)
CARRIED: Final = Counter(
    "sloctl_carrier_messages",
    "Messages by transport, direction (inject, extract) and outcome.",
    ["transport", "direction", "outcome"],
    registry=None,
)


def serve_from(registry: CollectorRegistry) -> None:
    """Let a registry have them too; they are the process', whichever of its registries shows them."""
    for counter in (FAILURES, REJECTED, CARRIED):
        if counter not in registry._collector_to_names:
            registry.register(counter)
