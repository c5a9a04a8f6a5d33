"""From the first bad request to the pager and back: real Prometheus, real Alertmanager, and a strict sink."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from examples.demo.checkout import checkout_service, order
from sloctl.backends.alertmanager.routes import route_tree
from sloctl.backends.alertmanager.tree import matched
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from testing.routed import configure, routed, rules, scraping, write_spec
from testing.servers import PATIENCE, Alertmanager
from testing.sink import Sink
from tests.conftest import StartPrometheus, program

TWELFTH = 10  # seconds: two minutes, twelve times faster

# Tiles of 5s instead of 1m, and every duration of a tier divided by 12.
CHAIN = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
window: 1d
resolution: 5s
scrape_interval: 1s
runbook: https://runbooks.example.com/$service/$slo
dashboards: {base_url: 'https://grafana.example.com', logs: 'https://logs.example.com'}
fallback: {slack: '#lost'}
watchdog: {webhook: 'https://hooks.example.com/heartbeat'}
policies:
  violated:
    - {severity: P1, burn: 1, over: 5s, for: 10s, keep_firing_for: 0s}
    - {severity: P2, burn: 1, over: 10s, for: 20s}
teams:
  web:
    P1: {pagerduty: web, slack: '#web-pages'}
    P2: {slack: '#web'}
    P3: {email: web@example.com}
    incident: {slack: '#incident'}
---
apiVersion: sloctl/v1
kind: Service
service: checkout
team: web
slos:
  - name: ok
    objective: 99.9%
    sli: {ratio: {total: 'http_requests_total{job="checkout"}', bad_if: 'code=~"5.."'}}
    alerts: violated
  # errors above 0.2 % for five minutes: credits are at risk, and the incident channel is told how much
  - name: business
    objective: 99.9%
    sli: ok
    sla: {window: 1d, credits: [{below: 99.9%, credit: 10%}], value: 'up{job="checkout"}'}
    alerts:
      - {severity: P1, error_rate: 0.2%, over: 25s, for: 25s, notify: [incident], keep_firing_for: 0s,
         annotations: {credits: 'SLA credits at risk: $credits_at_risk'}}
---
apiVersion: sloctl/v1
kind: Service
service: unowned
slos:
  - name: ok
    objective: 99.9%
    sli: {ratio: {total: 'http_requests_total{job="checkout"}', bad_if: 'code=~"5.."'}}
    alerts: [{severity: P1, burn: 1, over: 5s, keep_firing_for: 0s}]
---
apiVersion: sloctl/v1
kind: Service
service: newcomer
team: web
mode: observe
slos:
  - name: ok
    objective: 99.9%
    sli: {ratio: {total: 'http_requests_total{job="checkout"}', bad_if: 'code=~"5.."'}}
    alerts: [{severity: P1, burn: 1, over: 5s, keep_firing_for: 0s, notify: [incident]}]
"""


def until(happened: Callable[[], object], server: Alertmanager, what: str, within: float = PATIENCE) -> None:
    server.running.wait_for(happened, what, within)


def key_of(specs: Path, labels: dict[str, str]) -> str:
    """The dedup_key that our own arithmetic gives an alert."""
    found = Diagnostics()
    return matched(route_tree(load([str(specs)], found)), labels)[-1].incident(labels)


@pytest.mark.server
def test_from_the_first_bad_request_to_the_page_and_its_resolve(prometheus: StartPrometheus, tmp_path: Path) -> None:
    program("prometheus-alertmanager")
    with routed(CHAIN, tmp_path) as (sink, told, specs), checkout_service(tmp_path) as service:
        server = prometheus(scraping({"checkout": service}, told, "1s"), rules(specs, tmp_path))
        budget = 'slo:error_budget_consumed:ratio_increase1d{slo="checkout-ok"}'
        healthy = f"slo:sli_error:ratio_increase25s == 0 and on (platform) {budget}"
        server.wait_for(lambda: len(server.query(healthy)) == 1, "a healthy start")
        assert sink.of("pagerduty") == []
        began = time.monotonic()
        order(f"{service}/fail?ratio=0.2")
        until(lambda: sink.events("trigger", "web", CHECKOUT), told, "the page")
        assert sink.events("trigger", "web", CHECKOUT)[0].at - began >= TWELFTH
        until(lambda: sink.of("slack", "#web-pages", "checkout-ok"), told, "its copy in the chat")
        until(lambda: sink.of("slack", "#lost", "unowned-ok"), told, "the fallback")
        until(lambda: having(told, burn_tier="p2-10s"), told, "the lower tier")
        assert [alert["status"]["state"] for alert in having(told, burn_tier="p2-10s")] == ["suppressed"]
        until(lambda: sink.of("slack", "#incident", "SLA credits at risk: 0.10 USD"), told, "the incident channel")
        until(lambda: sink.events("trigger", "web", "checkout-business"), told, "the page about credits")
        assert having(told, slo="newcomer-ok")
        healed = time.monotonic()
        order(f"{service}/heal")
        until(lambda: sink.events("resolve", "web", CHECKOUT), told, "the resolve")
        until(lambda: sink.of("slack", "#web-pages", "[resolved]"), told, "the resolve in the chat")
        check_page(sink, specs)
        assert [message for message in sink.messages if "newcomer" in message.text] == []
        # the lower tier looks back longer than the page, so it may have its turn when the page is over
        assert [message for message in sink.of("slack") if message.to == "#web" and message.at < healed] == []
        assert sink.of("slack", "#everybody") == []
        until(lambda: sink.of("webhook", "slo-shop-watchdog"), told, "the heartbeat, each minute")
        assert sink.faults == []


CHECKOUT = '"slo": "checkout-ok"'


def having(server: Alertmanager, **labels: str) -> list[dict[str, Any]]:
    """The alerts that Alertmanager has with these labels."""
    return [alert for alert in server.alerts() if labels.items() <= alert["labels"].items()]


def check_page(sink: Sink, specs: Path) -> None:
    """What the person who is woken sees."""
    page = sink.events("trigger", "web", CHECKOUT)[0].body
    payload = page["payload"]
    labels = {"sloctl": "v1", "platform": "shop", "slo": "checkout-ok", "team": "web", "severity": "P1"}
    assert {message.body["dedup_key"] for message in sink.of("pagerduty", "web", CHECKOUT)} == {key_of(specs, labels)}
    assert payload["severity"] == "critical"
    assert payload["class"] == "CheckoutOkBudgetBurnP1Over5s"
    assert payload["component"] == "checkout"
    assert payload["group"] == "shop"
    assert payload["summary"].startswith("[P1] checkout-ok: ")
    assert payload["summary"].count("checkout-ok") == 1
    assert [link["href"] for link in page["links"]] == [
        "https://runbooks.example.com/checkout/checkout-ok",
        "https://grafana.example.com/d/slo-shop-detail?var-slo=checkout-ok",
        "https://logs.example.com",
    ]
    details = payload["custom_details"]
    assert (details["objective"], details["window"]) == ("99.9%", "1d")
    assert details["burn"] == "above 1 over 5s"
    assert details["budget_left"].endswith("%")
    buttons = sink.of("slack", "#web-pages", "checkout-ok")[0].body["attachments"][0]["actions"]
    assert [button["text"] for button in buttons] == ["Runbook", "Dashboard", "Logs"]


def alert(name: str, ends: datetime | None = None, **labels: str) -> dict[str, object]:
    annotations = {"summary": f"{name} happened", "description": "Something is broken."}
    end = {"endsAt": ends.isoformat()} if ends else {}
    return {
        "labels": {"alertname": name, "sloctl": "v1", "platform": "shop", **labels},
        "annotations": annotations,
    } | end


def days(*numbers: int) -> str:
    names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    return ", ".join(names[number % 7] for number in numbers)


def two_teams() -> str:
    """One team at work all day, and one that is away today and tomorrow."""
    today = datetime.now(UTC).weekday()
    team = """\
    P1: {{pagerduty: {name}, slack: '#{name}'}}
    P2: {{pagerduty: {name}, webhook: 'https://hooks.example.com/{name}'}}
    P3: {{email: {name}@example.com}}
    office_hours: {{days: [{days}], from: '00:00', to: '24:00', time_zone: UTC}}
"""
    slo = "{name: ok, objective: 99.9%, sli: {ratio: {total: x_total, bad_if: 'code=\"5\"'}}, alerts: [google]}"
    services = "".join(
        f"---\n{{apiVersion: sloctl/v1, kind: Service, service: {name}, team: {name}, slos: [{slo}]}}\n"
        for name in ("here", "away")
    )
    return (
        "apiVersion: sloctl/v1\nkind: Platform\nname: shop\nrunbook: https://runbooks.example.com/$slo\nteams:\n"
        f"  here:\n{team.format(name='here', days=days(today - 1, today, today + 1))}"
        f"  away:\n{team.format(name='away', days=days(today + 3))}{services}"
    )


@pytest.mark.server
def test_tickets_wait_for_office_hours_and_lower_tiers_for_the_page(tmp_path: Path) -> None:
    program("prometheus-alertmanager")
    with routed(two_teams(), tmp_path) as (sink, told, specs):
        here = {"slo": "here-ok", "service": "here", "team": "here"}
        away = {"slo": "away-ok", "service": "away", "team": "away"}
        told.send([alert("Ticket", **here, severity="P3", burn_tier="p3-1d")])
        told.send([alert("Ticket", **away, severity="P3", burn_tier="p3-1d")])
        told.send([alert("Page", **away, severity="P1", burn_tier="p1-1h")])
        told.send([alert("Stranger", team="nobody", severity="P1", slo="x-ok", burn_tier="p1-1h")])
        until(lambda: sink.of("email", "here@example.com"), told, "the ticket of the team at work")
        until(lambda: sink.events("trigger", "away"), told, "a page, whatever the hour")
        until(lambda: sink.of("slack", "#everybody", "Stranger"), told, "the base's own receiver")
        told.send([alert("Urgent", **here, severity="P2", burn_tier="p2-14m")])
        until(lambda: sink.events("trigger", "here"), told, "the urgent message")
        until(lambda: sink.of("webhook", "here"), told, "its copy by webhook")
        assert sink.events("trigger", "here")[0].body["payload"]["severity"] == "warning"
        assert sink.of("email", "away@example.com") == []

        key = sink.events("trigger", "here")[0].body["dedup_key"]
        write_spec(specs / "second", two_more_teams())
        configure(specs, tmp_path, sink)
        told.reload()
        told.send(
            [alert("Urgent", datetime.now(UTC) - timedelta(seconds=1), **here, severity="P2", burn_tier="p2-14m")]
        )
        until(lambda: sink.events("resolve", "here"), told, "the resolve after a merge that added a team")
        assert {message.body["dedup_key"] for message in sink.of("pagerduty", "here")} == {key}
        assert sink.faults == []


def two_more_teams() -> str:
    """Another platform beside: new teams, services, routes and split labels."""
    bank = two_teams().replace("name: shop", "name: bank").replace("{name: ok,", "{name: ok, by: [tenant],")
    return bank.replace("here", "bank-here").replace("away", "bank-away")
