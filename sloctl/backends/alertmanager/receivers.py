"""Receivers: what each integration is told, within the limits that its service publishes.

Credentials are read by Alertmanager from files named after what a specification names; none is ever written here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sloctl.backends.alertmanager import texts
from sloctl.conventions import severity_word
from sloctl.model.alerting import Severity
from sloctl.model.catalogue import PagerDutyKeys, Platform
from sloctl.model.ownership import Route

SECRETS: Final = "/etc/alertmanager/secrets"
_URGENCY: Final = {Severity.P1: "critical", Severity.P2: "warning", Severity.P3: "info"}
"""Events v2 severities; PagerDuty treats critical and error as high urgency, warning and info as low."""
_PRIORITY: Final = {Severity.P1: "P1", Severity.P2: "P2", Severity.P3: "P3"}
"""Opsgenie has the same words."""
_EMERGENCY: Final = '{{ if eq .Status "firing" }}2{{ else }}0{{ end }}'
"""Pushover repeats priority 2 until somebody acknowledges it."""
_COLOUR: Final = '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")

Config = dict[str, object]


@dataclass(frozen=True, slots=True)
class Destination:
    """One receiver before its configuration: where to, and how urgent.

    Attributes:
        severity: None when alerts of any severity come here; then each says its own.
    """

    platform: Platform
    route: Route
    severity: Severity | None = None


def receiver(name: str, destinations: Iterable[Destination], secrets: str = SECRETS) -> dict[str, object]:
    """One receiver that tells all destinations; what two of them share is told once."""
    value: dict[str, object] = {"name": name}
    for kind, build in _INTEGRATIONS.items():
        configs: list[Config] = []
        for destination in destinations:
            config = build(destination, secrets)
            if config is not None and config not in configs:
                configs.append(config)
        if configs:
            value[f"{kind}_configs"] = configs
    return value


def _pagerduty(to: Destination, secrets: str) -> Config | None:
    key = pagerduty_key(to.platform, to.route)
    if key is None:
        return None
    return {
        "routing_key_file": f"{secrets}/{key}",
        "send_resolved": True,
        "severity": _URGENCY[to.severity] if to.severity else _urgency_of_alert(to.platform),
        "description": texts.HEADLINE,
        "class": texts.NAME,
        "component": texts.COMPONENT,
        "group": texts.GROUP,
        "client": "sloctl",
        "client_url": texts.link("dashboard_url"),
        "links": [{"text": text, "href": href} for text, href in _links(to.platform)],
        "details": {**texts.DETAILS, "route": to.route.pagerduty or ""},
    }


def pagerduty_key(platform: Platform, route: Route) -> str | None:
    """The file that holds the integration key of a route."""
    match platform.pagerduty:
        case _ if route.pagerduty is None:
            return None
        case PagerDutyKeys.PER_TEAM_KEY:
            return f"pagerduty-{route.pagerduty}"
        case PagerDutyKeys.SINGLE_ORCHESTRATION:
            return f"pagerduty-{platform.name}"


def _urgency_of_alert(platform: Platform) -> str:
    """The urgency of whatever alert comes, by the platform's words."""
    words = [(severity_word(platform, severity), _URGENCY[severity]) for severity in (Severity.P1, Severity.P2)]
    (page, critical), (urgent, warning) = [(_go_text(word), urgency) for word, urgency in words]
    severity = ".CommonLabels.severity"
    return (
        f"{{{{ if eq {severity} {page} }}}}{critical}{{{{ else if eq {severity} {urgent} }}}}{warning}"
        f"{{{{ else }}}}{_URGENCY[Severity.P3]}{{{{ end }}}}"
    )


def _slack(to: Destination, secrets: str) -> Config | None:
    if to.route.slack is None:
        return None
    return {
        "api_url_file": f"{secrets}/{_file('slack', to.route.slack)}",
        "channel": to.route.slack if to.route.slack[0] in "#@" else f"#{to.route.slack}",
        "send_resolved": True,
        "color": _COLOUR,
        "title": texts.HEADLINE,
        "title_link": texts.link("dashboard_url"),
        "fallback": texts.HEADLINE,
        "text": texts.CHAT,
        "actions": [{"type": "button", "text": text, "url": href} for text, href in _links(to.platform)],
    }


def _email(to: Destination, secrets: str) -> Config | None:
    """The server and its password are the base's `global` settings, as for every other mail."""
    del secrets
    if to.route.email is None:
        return None
    return {
        "to": to.route.email,
        "send_resolved": True,
        "headers": {"Subject": texts.HEADLINE},
        "html": "",
        "text": texts.PLAIN,
    }


def _sns(to: Destination, secrets: str) -> Config | None:
    """Signed with the credentials of the machine; a topic's region is in its name."""
    del secrets
    address = to.route.sns
    if address is None:
        return None
    message: Config = {"send_resolved": True, "subject": texts.SUBJECT, "message": texts.SHORT}
    if not address.startswith("arn:"):
        return {"phone_number": address, **message}
    return {"topic_arn": address, "sigv4": {"region": address.split(":")[3]}, **message}


def _opsgenie(to: Destination, secrets: str) -> Config | None:
    if to.route.opsgenie is None:
        return None
    return {
        "api_key_file": f"{secrets}/opsgenie-{to.route.opsgenie}",
        "send_resolved": True,
        "message": texts.HEADLINE,
        "description": texts.PLAIN,
        "source": "sloctl",
        "priority": _PRIORITY[to.severity] if to.severity else "",
        "entity": texts.COMPONENT,
        "details": texts.DETAILS,
    }


def _victorops(to: Destination, secrets: str) -> Config | None:
    if to.route.victorops is None:
        return None
    urgency = _URGENCY[to.severity] if to.severity else "critical"
    return {
        "api_key_file": f"{secrets}/victorops",
        "routing_key": to.route.victorops,
        "send_resolved": True,
        "message_type": urgency.upper(),
        "entity_display_name": texts.HEADLINE,
        "state_message": texts.PLAIN,
        "monitoring_tool": "sloctl",
    }


def _pushover(to: Destination, secrets: str) -> Config | None:
    if to.route.pushover is None:
        return None
    return {
        "user_key_file": f"{secrets}/pushover-{to.route.pushover}",
        "token_file": f"{secrets}/pushover-{to.route.pushover}-token",
        "send_resolved": True,
        "title": texts.HEADLINE,
        "message": texts.SHORT,
        "url": texts.link("dashboard_url"),
        "priority": _EMERGENCY if to.severity is Severity.P1 else "0",
    }


def _msteams(to: Destination, secrets: str) -> Config | None:
    """By a workflow: the connectors of before are retired."""
    if to.route.msteams is None:
        return None
    return {
        "webhook_url_file": f"{secrets}/msteams-{to.route.msteams}",
        "send_resolved": True,
        "title": texts.HEADLINE,
        "text": texts.PLAIN,
    }


def _telegram(to: Destination, secrets: str) -> Config | None:
    if to.route.telegram is None:
        return None
    return {
        "bot_token_file": f"{secrets}/telegram",
        "chat_id": int(to.route.telegram),
        "send_resolved": True,
        "parse_mode": "",
        "message": f"{texts.HEADLINE}\n{texts.PLAIN}",
    }


def _discord(to: Destination, secrets: str) -> Config | None:
    if to.route.discord is None:
        return None
    return {
        "webhook_url_file": f"{secrets}/discord-{to.route.discord}",
        "send_resolved": True,
        "title": texts.HEADLINE,
        "message": texts.PLAIN,
    }


def _webex(to: Destination, secrets: str) -> Config | None:
    if to.route.webex is None:
        return None
    return {
        "room_id": to.route.webex,
        "send_resolved": True,
        "message": f"{texts.HEADLINE}\n{texts.PLAIN}",
        "http_config": {"authorization": {"credentials_file": f"{secrets}/webex"}},
    }


def _webhook(to: Destination, secrets: str) -> Config | None:
    if to.route.webhook is None:
        return None
    link = urlsplit(to.route.webhook)
    config: Config = {"url": to.route.webhook, "send_resolved": True}
    if link.scheme == "http":  # within the cluster, where no credential would be safe
        return config
    credentials = f"{secrets}/{_file('webhook', link.hostname or 'webhook')}"
    return {**config, "http_config": {"authorization": {"credentials_file": credentials}}}


_INTEGRATIONS: Final[Mapping[str, Callable[[Destination, str], Config | None]]] = {
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
    "victorops": _victorops,
    "pushover": _pushover,
    "slack": _slack,
    "msteamsv2": _msteams,
    "telegram": _telegram,
    "discord": _discord,
    "webex": _webex,
    "email": _email,
    "webhook": _webhook,
    "sns": _sns,
}


def _links(platform: Platform) -> list[tuple[str, str]]:
    """The links that a platform's alerts have."""
    links = [("Runbook", "runbook_url", any(slo.runbook for slo in platform.slos))]
    links += [("Dashboard", "dashboard_url", platform.dashboards.base_url is not None)]
    links += [("Logs", "logs_url", platform.dashboards.logs is not None)]
    links += [("Where it burns", "why_url", platform.dashboards.sloctl is not None)]
    return [(text, texts.link(annotation)) for text, annotation, there in links if there]


def _file(kind: str, name: str) -> str:
    """The file with the credentials for a channel or host."""
    return f"{kind}-{_UNSAFE.sub('_', name.lstrip('#@'))}"


def _go_text(text: str) -> str:
    """A text as a literal of Go's template language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
