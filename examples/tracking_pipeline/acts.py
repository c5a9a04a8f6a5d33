"""The acts of the story. Each waits until what it is about has happened, and fails when it does not."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from examples.tracking_pipeline import view
from examples.tracking_pipeline.load import KINDS
from examples.tracking_pipeline.settings import CANARY, STABLE
from examples.tracking_pipeline.status import SloStatus
from examples.tracking_pipeline.story import Story, pages, require, run_sloctl, show
from examples.tracking_pipeline.switches import DEFAULTS
from examples.tracking_pipeline.world import JUDGE, SPECS, World

API: Final = "tracking-api-availability"
API_SLO: Final = "tracking-api/availability"
VIOLATED: Final = "p1-5s"
PAGE: Final = "TrackingApiAvailabilityBudgetBurnP1Over5s"
TWO_MINUTES: Final = 120 / 12
CANARY_ERRORS: Final = 0.03
CANARY_WEIGHT: Final = 0.25
BROKEN: Final = 0.4
QUIET_SECONDS: Final = 15.0
SLOS: Final = 9
NIGHT: Final = DEFAULTS["traffic"] * (1 - KINDS["event"] / 100)
"""Requests a second that the tracking API gets at night."""
PEAK_FACTOR: Final = 2.5
"""The day's traffic is 3.4 times the night's; a tile may still hold some of the night."""


def specification(story: Story) -> None:
    """What people write, and what Prometheus runs."""
    with story.act("Specification", "nine SLOs of five services; this is one of them"):
        written = (SPECS / "tracking-api.yaml").read_text(encoding="utf-8")
        show(story, between(written, "  - name: availability\n", "  - name: availability-by-tenant"))
        rules = story.world.prometheus.rules()
        alerts = sum(rule.kind == "alerting" for rule in rules)
        require(true=alerts > SLOS, otherwise=f"Prometheus runs {len(rules)} rules, {alerts} of them alerts")
        story.tell(
            f"sloctl generate made {len(rules) - alerts} recording rules and {alerts} alerts of them; one pages:"
        )
        folder = story.world.folder / "rules/prometheus/tracking-pipeline"
        generated = (folder / "tracking-api.yaml").read_text(encoding="utf-8")
        show(story, between(generated, f"      - alert: {PAGE}\n", "        annotations:"))


def between(text: str, start: str, end: str) -> str:
    """The lines of a text from the one to before the other."""
    first = text.index(start)
    return text[first : text.index(end, first)]


def healthy(story: Story) -> None:
    """Night becomes day: 3.4 times the traffic, and nobody is paged."""
    with story.act("Healthy", "20 tenants send events and ask for shipments; soon the day brings 3.4 times as many"):
        night = story.until(measured_night, "every SLO is measured")
        story.world.switch(day=1)
        story.tell(f"the day begins; the night had {night:.0f} requests/s")
        day = story.until(lambda found: at_peak(found, night), "the day's traffic")
        story.tell(f"{day:.0f} requests/s now")
        quiet_until = story.now() + QUIET_SECONDS
        story.until(lambda found: story.now() >= quiet_until and untouched(found), "untouched budgets")
        require(true=not pages(story), otherwise=f"{len(pages(story))} pages while everything was healthy")
        require(true=not story.states, otherwise=f"while everything was healthy: {story.states}")
    story.figures.append(("pages in the healthy act, with 3.4 times the traffic", "0"))


def measured_night(found: Mapping[str, SloStatus]) -> float:
    """Requests a second of whole tiles, once every SLO is measured and the API has had no error for a while."""
    whole = len(found) >= SLOS and found[API].burn("25s") == 0 and found[API].per_second > NIGHT / 2
    return found[API].per_second if whole else 0.0


def untouched(found: Mapping[str, SloStatus]) -> bool:
    """Whether every budget is recorded and whole."""
    return all(finding.spent == 0 for finding in found.values())


def at_peak(found: Mapping[str, SloStatus], night: float) -> float:
    now = found[API].per_second
    return now if now >= PEAK_FACTOR * night else 0.0


def canary(story: Story) -> None:
    """A new version fails 3 % of one endpoint's requests, and is rolled back."""
    opening = f"version {CANARY} gets {CANARY_WEIGHT:.0%} of the traffic; 3 % of its POST /track fail"
    with story.act("Canary", opening):
        world = story.world
        world.switch(canary_errors=CANARY_ERRORS)
        world.deploy_canary()
        world.switch(canary_weight=CANARY_WEIGHT)
        began, moment = story.now(), time.time()
        story.until(lambda _: decided(story, moment), "the canary is judged")
        verdict = story.verdict or {}
        require(true=verdict["verdict"] == "rollback", otherwise=f"the canary was not rolled back: {verdict}")
        [worst] = [check for check in verdict["checks"] if check["verdict"] == "rollback"]
        require(true=worst["series"] == {"http_route": "/track"}, otherwise=f"the endpoint is not named: {worst}")
        story.take_picture(world, "canary")
        world.remove_canary()
        story.tell(f"{view.check_name(worst)}: {view.tally(worst['canary'])}, baseline {view.tally(worst['baseline'])}")
        story.tell(f"rollback ({verdict['reason']}): all traffic is {STABLE}'s again", style="bold")
        audit = ["--store", world.settings.postgresql]
        run_sloctl(story, ["canary", "history", *audit], "canary history --store $POSTGRESQL")
        told = run_sloctl(story, ["canary", "verify", *audit], "canary verify --store $POSTGRESQL")
        require(true="every one as it was written" in told, otherwise=f"the audit store is not whole: {told}")
        story.measured("first request of the bad canary to rollback", story.now() - began)
        paged = len(pages(story))
    story.figures.append(("pages until the rollback", str(paged)))


def decided(story: Story, started: float) -> bool:
    """Ask the canary server for a verdict, as Argo Rollouts does; whether there is one."""
    asked = {"service": "tracking-api", "canary": CANARY, "stable": STABLE, "revision": "2", "step": 0}
    url = f"{story.world.settings.url(JUDGE)}/v1/canary/evaluate"
    answer = story.world.client.post(url, json=asked | {"started": started})
    require(true=answer.status_code == 200, otherwise=f"POST {url}: {answer.status_code} {answer.text}")
    story.verdict = answer.json()
    return bool(answer.json()["verdict"] != "continue")


def outage(story: Story) -> float:
    """Ingestion writes broken positions, and somebody is paged; returns when it began."""
    with story.act(
        "Outage", f"a bad release of ingestion writes {BROKEN:.0%} of the positions with an impossible latitude"
    ):
        before, story.verdict = len(pages(story)), None
        began, clock = story.now(), time.monotonic()
        story.world.switch(broken_positions=BROKEN)
        story.until(lambda found: VIOLATED in found[API].alerts, "the alert is pending")
        story.measured("fault to pending", story.now() - began)
        story.until(lambda _: len(pages(story)) > before, "the page")
        page = pages(story)[before]
        waited = page.at - clock
        require(true=waited > TWO_MINUTES, otherwise=f"paged after {waited:.1f} s: before two minutes (10 s) violated")
        runbook = next((link["href"] for link in page.body["links"] if link["text"] == "Runbook"), "")
        require(true=runbook.endswith(f"/tracking-api/{API}"), otherwise=f"the page's runbook is {runbook!r}")
        story.measured("fault to page; never before 10 s, two minutes divided by 12", waited)
        story.tell(f"the page's runbook: {runbook}", style="bold")
        run_why(story)
    return began


def run_why(story: Story) -> str:
    """What the person who was paged asks first."""
    url = story.world.settings.url("prometheus")
    words = ["why", API_SLO, "--specs", str(SPECS), "--prometheus", url]
    return run_sloctl(story, words, f"why {API_SLO} --prometheus {url}")


def resolve(story: Story) -> None:
    """The bad release is taken back, and the incident resolves by itself."""
    with story.act("Resolve", "the bad release is taken back; new events mend the records"):
        key = pages(story)[-1].body["dedup_key"]
        began = story.now()
        story.world.switch(broken_positions=0)
        story.until(lambda _: resolved(story, key), "PagerDuty is told that it is over")
        story.measured("repair to resolved in PagerDuty", story.now() - began)
        story.take_picture(story.world, "overview")


def resolved(story: Story, key: str) -> bool:
    return any(event.body["dedup_key"] == key for event in story.world.sink.events("resolve"))


def trace(story: Story) -> None:
    """From one failed request to the request, and the service, that caused it."""
    with story.act("Trace", "one request failed; what happened?"):
        line = failed_request(story.world)
        told = run_trace(story, line["request.id"])
        require(true="earliest failing hop: tracking-api" in told, otherwise=f"unexpected trace:\n{told}")
        writer = line["message"].split(" wrote it")[0].rsplit(" ", 1)[1]
        story.tell(f"the record was written by request {writer}")
        told = run_trace(story, writer)
        require(true="earliest failing hop: ingestion" in told, otherwise=f"unexpected trace:\n{told}")


def failed_request(world: World) -> Mapping[str, Any]:
    """The log line of a request that found a broken record."""
    found = [line for line in world.logged("tracking-api-stable") if " wrote it" in str(line["message"])]
    return found[len(found) // 2]


def run_trace(story: Story, request_id: str) -> str:
    """`sloctl trace`; what it prints."""
    folder = story.world.folder
    files = ["--logs", f"{folder}/*.log.jsonl", "--spans", f"{folder}/*.spans.jsonl"]
    shown = f"trace {request_id} --logs '*.log.jsonl' --spans '*.spans.jsonl'"
    return run_sloctl(story, ["trace", request_id, *files], shown)


def hindsight(story: Story) -> None:
    """The tiers replayed over the story itself tell of the same page."""
    with story.act("Backtest", "had these alerts been a proposal: what would they have paged in these minutes?"):
        url = story.world.settings.url("prometheus")
        words = ["--since", "10m", "--only", API_SLO, "--significant", "0.1%"]
        shown = f"backtest --prometheus {url} {' '.join(words)}"
        told = run_sloctl(story, ["backtest", str(SPECS), "--prometheus", url, "--cache", "none", *words], shown)
        paged = re.search(rf"{VIOLATED} +1 page +100%", told)
        require(true=paged is not None, otherwise=f"it tells of another page:\n{told}")


def play(story: Story) -> None:
    """Every act, in order.

    Raises:
        ServerError: one did not happen.
    """
    specification(story)
    healthy(story)
    canary(story)
    outage(story)
    resolve(story)
    trace(story)
    hindsight(story)
