"""One loopback server that plays PagerDuty, Slack, a webhook and a mail server, and refuses what the real ones would.

Limits: PagerDuty's "Send an alert event" (Events API v2), Slack's "Legacy: attachments" and "chat.postMessage",
RFC 5321 (SMTP) and Alertmanager's own webhook format, version 4.
"""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery.

    Attributes:
        kind: `pagerduty`, `slack`, `webhook` or `email`.
        at: monotonic seconds.
        to: the integration key's, channel's, host's or mailbox's name.
    """

    kind: str
    at: float
    to: str
    body: Any

    @property
    def text(self) -> str:
        """Everything that it says."""
        return self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)


@dataclass(slots=True)
class Sink:
    """What was delivered, and what was wrong with it."""

    http: int = 0
    smtp: int = 0
    messages: list[Message] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def take(self, kind: str, to: str, body: Any, faults: list[str]) -> None:
        self.messages.append(Message(kind, time.monotonic(), to, body))
        self.faults += [f"{kind} {to}: {fault}" for fault in faults]

    def of(self, kind: str, to: str = "", says: str = "") -> list[Message]:
        """The messages of a kind, to somebody, that contain a text."""
        return [
            message for message in self.messages if message.kind == kind and to in message.to and says in message.text
        ]

    def events(self, action: str, to: str = "", says: str = "") -> list[Message]:
        """PagerDuty's events of an action."""
        return [message for message in self.of("pagerduty", to, says) if message.body["event_action"] == action]


def pagerduty_faults(event: dict[str, Any], size: int) -> list[str]:
    """What Events API v2 would refuse or cut."""
    payload, action = event.get("payload", {}), event.get("event_action")
    rules = {
        "larger than 512 KB": size <= 512 * KIB,
        "routing_key has 32 characters": len(event.get("routing_key", "")) == 32,
        "event_action": action in {"trigger", "acknowledge", "resolve"},
        "dedup_key has 1 to 255 characters": 0 < len(event.get("dedup_key", "")) <= 255,
        "summary has 1 to 1024 characters": action == "resolve" or 0 < len(payload.get("summary", "")) <= 1024,
        "source": action == "resolve" or bool(payload.get("source")),
        "severity": payload.get("severity") in {"critical", "error", "warning", "info"},
        "details are flat": all(
            isinstance(custom_detail, str) for custom_detail in payload.get("custom_details", {}).values()
        ),
        "links": all(is_link(link.get("href")) and link.get("text") for link in event.get("links", [])),
        "client_url": is_link(event.get("client_url")),
        "an empty template": "<no value>" not in json.dumps(event),
    }
    return [rule for rule, kept in rules.items() if not kept]


def slack_faults(message: dict[str, Any]) -> list[str]:
    """What Slack would refuse or cut."""
    attachments = message.get("attachments", [])
    actions = [action for attachment in attachments for action in attachment.get("actions", [])]
    rules = {
        "a channel": message.get("channel", " ")[0] in "#@",
        "1 to 20 attachments": 0 < len(attachments) <= 20,
        "text of at most 8000 characters": all(len(attachment.get("text", "")) <= 8000 for attachment in attachments),
        "a fallback": all(attachment.get("fallback") for attachment in attachments),
        "a title": all(attachment.get("title") for attachment in attachments),
        "at most 5 buttons": all(len(attachment.get("actions", [])) <= 5 for attachment in attachments),
        "buttons": all(
            action["type"] == "button" and len(action["text"]) <= 30 and is_link(action["url"]) for action in actions
        ),
        "an empty template": "<no value>" not in json.dumps(message),
    }
    return [rule for rule, kept in rules.items() if not kept]


def webhook_faults(message: dict[str, Any], authorization: str) -> list[str]:
    """What a receiver of Alertmanager's webhooks would miss."""
    rules = {
        "version 4": message.get("version") == "4",
        "alerts": bool(message.get("alerts")),
        "a credential": authorization.startswith("Bearer ") and len(authorization) > len("Bearer "),
    }
    return [rule for rule, kept in rules.items() if not kept]


def mail_faults(data: bytes) -> list[str]:
    """What a mail server would refuse."""
    message = message_from_bytes(data, policy=policy.default)
    rules = {
        "lines of at most 1000 octets": all(len(line) <= 998 for line in data.split(b"\r\n")),
        "a subject": bool(message["Subject"]),
        "From and To": bool(message["From"] and message["To"]),
        "a text": bool(mail_text(data).strip()),
    }
    return [rule for rule, kept in rules.items() if not kept]


def mail_text(data: bytes) -> str:
    """Subject and plain text of a mail."""
    message = message_from_bytes(data, policy=policy.default)
    part = message.get_body(("plain",))
    return f"{message['Subject']}\n{'' if part is None else part.get_content()}"


def is_link(url: str | None) -> bool:
    parts = urlsplit(url or "")
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def http_handler(sink: Sink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            body = json.loads(raw)
            kind = urlsplit(self.path).path.strip("/")
            if kind == "pagerduty":
                sink.take(kind, body["routing_key"].lstrip("0"), body, pagerduty_faults(body, len(raw)))
                self._answer(202, json.dumps({"status": "success", "dedup_key": body["dedup_key"]}))
            elif kind == "slack":
                sink.take(kind, body["channel"], body, slack_faults(body))
                self._answer(200, "ok")
            elif kind == "webhook":
                sink.take(kind, body["receiver"], body, webhook_faults(body, self.headers.get("Authorization", "")))
                self._answer(200, "")
            else:
                self._answer(404, "")

        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler


def mail_handler(sink: Sink) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 sink ESMTP")
            to = ""
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"RCPT":
                    to = line.decode().partition("<")[2].partition(">")[0]
                if word == b"DATA":
                    self._say("354 go on")
                    data = self._data()
                    sink.take("email", to, mail_text(data), mail_faults(data))
                self._say("221 bye" if word == b"QUIT" else "250 sink")

        def _data(self) -> bytes:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line[1:] if line.startswith(b"..") else line)
            return b"".join(lines)

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    return Handler


@contextmanager
def sink(port: int = 0) -> Iterator[Sink]:
    """Serve on loopback until the block ends; PagerDuty, Slack and webhooks on this port or a free one."""
    made = Sink()
    http = ThreadingHTTPServer(("127.0.0.1", port), http_handler(made))
    smtp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), mail_handler(made))
    smtp.daemon_threads = True
    made.http, made.smtp = http.server_address[1], smtp.server_address[1]
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in (http, smtp)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        for server in (http, smtp):
            server.shutdown()
            server.server_close()
