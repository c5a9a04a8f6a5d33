"""A page in headless Chromium: what it logs, what it asks of the network, how wide it becomes, and a picture."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testing.servers import find_program

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-features=NetworkTimeServiceQuerying,OptimizationHints,MediaRouter",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # the browser itself calls nobody either
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the browser did with a page.

    Attributes:
        console: what the page logged, and what its policy refused.
        requests: addresses that were asked for.
        width: of the content, in pixels; more than the window means that it overflows.
        panels: height in pixels of each panel's content below its title, by title.
    """

    console: tuple[str, ...]
    requests: tuple[str, ...]
    width: int
    panels: tuple[tuple[str, float], ...]


def picture(page: Path, output: Path, width: int, height: int) -> None:
    """A screenshot in pixels."""
    _run(page, f"--screenshot={output}", f"--window-size={width},{height}")


def look(page: Path, width: int) -> Seen:
    """Open a page in a frame of this width, which a script outside of it measures, and report."""
    with tempfile.TemporaryDirectory(prefix="sloctl-net-") as folder:
        frame, log = Path(folder, "frame.html"), Path(folder, "net.json")
        frame.write_text(_FRAME.replace("WIDTH", str(width)).replace("PAGE", html.escape(page.read_text())))
        ran = _run(frame, "--dump-dom", "--window-size=1600,2000", "--enable-logging=stderr", f"--log-net-log={log}")
        console = tuple(line for line in ran.stderr.splitlines() if "CONSOLE" in line)
        events = json.loads(log.read_text())["events"]
        asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
        urls = {str(answer["url"]) for answer in asked if answer["initiator"] != "not an origin" and "url" in answer}
    measured = re.search(r'<pre id="measured">(.*?)</pre>', ran.stdout, re.DOTALL)
    assert measured is not None, ran.stdout[:500]
    found = json.loads(html.unescape(measured[1]))
    outside = tuple(sorted(url for url in urls if not url.startswith(("file:", "data:", "about:"))))
    return Seen(console, outside, found["width"], tuple((title, height) for title, height in found["panels"]))


_FRAME = """<!doctype html><meta charset="utf-8"><pre id="measured"></pre>
<iframe id="page" width="WIDTH" height="2000" frameborder="0" srcdoc="PAGE"></iframe>
<script>
document.getElementById("page").addEventListener("load", function () {
  const inside = this.contentDocument;
  const panels = [...inside.querySelectorAll("section")].map(one => [
    one.querySelector("h3").textContent,
    one.lastElementChild.getBoundingClientRect().height
  ]);
  const found = {width: inside.documentElement.scrollWidth, panels: panels};
  document.getElementById("measured").textContent = JSON.stringify(found);
});
</script>
"""


def _run(page: Path, *words: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="sloctl-chromium-", ignore_cleanup_errors=True) as profile:
        flags = [*_FLAGS, f"--user-data-dir={profile}", *words, page.resolve().as_uri()]
        home = {**os.environ, "HOME": profile}
        return subprocess.run(
            [find_program("chromium"), *flags], capture_output=True, text=True, timeout=120, check=True, env=home
        )
