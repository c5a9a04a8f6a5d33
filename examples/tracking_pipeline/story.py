"""Telling a story: time passes, the pipeline is looked at and shown, and what happened when is remembered."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.live import Live

from examples.tracking_pipeline import view
from examples.tracking_pipeline.status import SloStatus, paging, read
from examples.tracking_pipeline.world import World
from testing.servers import ServerError
from testing.sink import Message

T = TypeVar("T")
PLAIN_LINE_EVERY: Final = 10.0
LOOK_EVERY: Final = 0.5


@dataclass(slots=True)
class Story:
    """Shows the pipeline while time passes, and remembers what happened when.

    Attributes:
        take_picture: keeps a dashboard as it looks now, if somebody wants pictures.
        acts: name and length in seconds of each act that has happened.
        figures: what is measured on the way, in words, with its value.
    """

    console: Console
    live: Live | None
    world: World
    began: float
    take_picture: Callable[[World, str], None] = lambda _world, _dashboard: None
    acts: list[tuple[str, float]] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    shown: int = 0
    verdict: Mapping[str, Any] | None = None
    last_line: float = 0.0

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def tell(self, what: str, style: str = "") -> None:
        """Say something with its time."""
        self.console.print(f"{self.now():6.1f} s  {what}", style=style, highlight=False, markup=False, soft_wrap=True)

    def look(self) -> Mapping[str, SloStatus]:
        """Read the status, tell what changed since the last look, and show everything."""
        found = read(self.world.prometheus)
        states = paging(found)
        for name in sorted(states.keys() | self.states.keys()):
            if states.get(name) != self.states.get(name):
                self.tell(f"alert {name} is {states.get(name, 'resolved')}")
        self.states = states
        messages = list(self.world.sink.messages)
        for message in messages[self.shown :]:
            if message.kind != "webhook":
                self.tell(view.said(message), style="bold")
        self.shown = len(messages)
        if self.live:
            self.live.update(view.screen(found, messages, self.began, self.verdict))
        elif self.now() - self.last_line >= PLAIN_LINE_EVERY:
            self.last_line = self.now()
            self.tell(view.plain(found, len(pages(self))), style="dim")
        return found

    def until(self, happened: Callable[[Mapping[str, SloStatus]], T], what: str, within: float = 600) -> T:
        """Look until it has happened.

        Raises:
            ServerError: it did not happen within so many seconds, or something that runs has ended.
        """
        deadline = time.monotonic() + within
        while True:
            found = self.look()
            if answer := happened(found):
                return answer
            self.world.require_alive()
            if time.monotonic() > deadline:
                raise ServerError(f"did not happen within {within:g} s: {what}\n{view.plain(found, len(pages(self)))}")
            time.sleep(LOOK_EVERY)

    @contextmanager
    def act(self, name: str, opening: str) -> Iterator[None]:
        """One act; its length is noted when it has happened."""
        self.console.rule(f"[bold]{name}[/bold]", align="left")
        self.tell(opening)
        began = self.now()
        yield
        self.acts.append((name, self.now() - began))

    def measured(self, what: str, seconds: float) -> None:
        """Note a figure."""
        self.figures.append((what, f"{seconds:.1f} s"))


def pages(story: Story) -> list[Message]:
    """The pages so far."""
    return story.world.sink.events("trigger")


def require(*, true: bool, otherwise: str) -> None:
    """Fail the story.

    Raises:
        ServerError: it is not so.
    """
    if not true:
        raise ServerError(otherwise)


def run_sloctl(story: Story, words: list[str], shown: str) -> str:
    """Run the command and show what it prints; returns that."""
    story.console.print(f"$ sloctl {shown}", style="bold", highlight=False, soft_wrap=True)
    wide = {**os.environ, "COLUMNS": "150"}
    command = [sys.executable, "-m", "sloctl", *words]
    ran = subprocess.run(command, capture_output=True, text=True, env=wide, check=False)
    story.console.print(ran.stdout.rstrip() + ran.stderr, markup=False, highlight=False, soft_wrap=True)
    return ran.stdout


def show(story: Story, text: str) -> None:
    story.console.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)
