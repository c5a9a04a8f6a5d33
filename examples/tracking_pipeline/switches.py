"""What can be switched while everything runs: traffic, faults, and the canary's weight.

python -m examples.tracking_pipeline.switches FOLDER                          what is on
python -m examples.tracking_pipeline.switches FOLDER errors=0.2 latency=0     switch
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import redis

from examples.tracking_pipeline.settings import Settings

KEY: Final = "switches"
SEEN: Final = "switches-seen"
POLL_SECONDS: Final = 0.2
SWITCHES: Final = {
    "traffic": "requests a second at night",
    "day": "1 brings 3.4 times the night's traffic",
    "diurnal": "1 makes a night and a day of every two minutes",
    "canary_weight": "share of the tracking API's requests that the canary answers",
    "canary_errors": "share of POST /track that fails in the canary",
    "errors": "share of POST /track that fails in the stable version",
    "latency": "seconds that the tracking API waits before it answers",
    "broken_positions": "share of events that ingestion stores with a latitude that does not exist",
    "stale": "1 keeps the projection from updating the read store",
    "stopped": "1 keeps ingestion from taking events",
    "dropped_carrier": "1 sends events on without the request's context",
}
DEFAULTS: Final = {"traffic": 16.0}


@dataclass(slots=True)
class Switches:
    """The switches as a service sees them, read a few times a second; Redis holds them."""

    values: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.values.get(name, DEFAULTS.get(name, 0.0))

    def on(self, name: str) -> bool:
        return self[name] > 0


def watched(settings: Settings) -> Switches:
    """Switches that a thread keeps up to date."""
    switches, client = Switches(), client_of(settings)

    def keep_reading() -> None:
        while True:
            with suppress(redis.RedisError):  # it may be on its way out; the next look will tell
                began = time.time()
                switches.values = read(client)
                client.hset(SEEN, str(os.getpid()), str(began))
            time.sleep(POLL_SECONDS)

    switches.values = read(client)
    threading.Thread(target=keep_reading, daemon=True).start()
    return switches


def client_of(settings: Settings) -> redis.Redis:
    return redis.Redis(port=settings.ports["redis"], decode_responses=True)


def read(client: redis.Redis) -> dict[str, float]:
    return {str(name): float(value) for name, value in client.hgetall(KEY).items()}


def seen_since(client: redis.Redis, moment: float) -> bool:
    """Whether every service has looked at the switches after this Unix time."""
    return all(float(looked) > moment for looked in client.hvals(SEEN))


def switch(client: redis.Redis, **values: float) -> None:
    """Set switches.

    Raises:
        ValueError: there is no such switch.
    """
    for name in values:
        if name not in SWITCHES:
            raise ValueError(f"there is no switch {name!r}; there are {', '.join(SWITCHES)}")
    if values:
        client.hset(KEY, mapping={name: str(value) for name, value in values.items()})


@dataclass(slots=True)
class Share:
    """Says yes to an exact share of the questions, evenly spread: 3 % is the 34th, the 67th, the 100th."""

    ratio: Callable[[], float]
    owed: float = 0.0

    def hit(self) -> bool:
        self.owed += self.ratio()
        if self.owed < 1:
            return False
        self.owed -= 1
        return True


def main(folder: str, *words: str) -> int:
    """Switch, and print what is on; exit code 2 for a wrong word, 3 when nothing runs there."""
    try:
        client = client_of(Settings.read(Path(folder)))
        switch(client, **{name: float(value) for name, _, value in (word.partition("=") for word in words)})
        now = Switches(read(client))
    except ValueError as error:
        print(f"switches: {error}; write NAME=NUMBER", file=sys.stderr)
        return 2
    except (FileNotFoundError, redis.ConnectionError):
        print(f"switches: nothing runs in {folder}; `make demo ARGS=--keep` prints the folder", file=sys.stderr)
        return 3
    for name, meaning in SWITCHES.items():
        print(f"{name:16} {now[name]:<6g} {meaning}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
