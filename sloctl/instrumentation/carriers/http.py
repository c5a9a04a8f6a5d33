"""HTTP headers of calls that are made without `instrument_httpx`."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from sloctl.instrumentation.carriers.encoding import known
from sloctl.instrumentation.carriers.outcome import Fields, Incoming, Outcome, extracted, injected
from sloctl.instrumentation.propagation import BAGGAGE, TENANT
from sloctl.instrumentation.runtime import configured


def inject(headers: MutableMapping[str, str], host: str | None = None) -> Outcome:
    """Set the headers of an outgoing request; tenant and baggage only where the host is one of ours."""

    def put(fields: Fields) -> None:
        runtime = configured()
        if runtime is None or host is None or host not in runtime.internal_hosts:
            fields = {key: value for key, value in fields.items() if key not in (TENANT, BAGGAGE)}
        headers.update(fields)

    return injected("http", put)


def extract(headers: Mapping[str, str]) -> Incoming:
    """What the headers of a request of an own service say."""
    lower = {str(name).lower(): value for name, value in headers.items()}
    return extracted("http", lambda: Incoming("http", known(lower)))
