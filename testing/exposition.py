"""What exporters have in common: text for Prometheus over HTTP."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler


class Exposition(BaseHTTPRequestHandler):
    """Answers with text in Prometheus' format, and says nothing of each scrape."""

    def answer(self, text: str, status: int = 200) -> None:
        """Send a whole answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""
