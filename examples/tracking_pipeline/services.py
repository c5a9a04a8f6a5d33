"""The services. `python -m examples.tracking_pipeline.services NAME FOLDER` runs one of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from examples.tracking_pipeline import gateway, ingestion, load, projection, tracking_api
from examples.tracking_pipeline.settings import Settings, set_up
from examples.tracking_pipeline.switches import Switches, watched
from sloctl.instrumentation import Runtime

WEB: Final[Mapping[str, Callable[[Settings, Runtime, Switches], Any]]] = {
    "gateway": gateway.make,
    "tracking-api-stable": lambda *given: tracking_api.make(*given, canary=False),
    "tracking-api-canary": lambda *given: tracking_api.make(*given, canary=True),
}
WORKERS: Final[Mapping[str, Callable[[Settings, Runtime, Switches], None]]] = {
    "ingestion": ingestion.run,
    "projection": projection.run,
}
NAMES: Final = (*WEB, *WORKERS, "load")


def main(name: str, folder: str) -> None:
    settings = Settings.read(Path(folder))
    if name == "load":
        load.run(settings)
        return
    service = name.removesuffix("-stable").removesuffix("-canary")
    runtime, switches = set_up(service, name, settings), watched(settings)
    if name in WEB:
        import uvicorn

        app = WEB[name](settings, runtime, switches)
        uvicorn.run(app, host="127.0.0.1", port=settings.ports[name], log_config=None, timeout_graceful_shutdown=1)
    else:
        from prometheus_client import start_http_server

        start_http_server(settings.ports[name], "127.0.0.1", runtime.registry)
        WORKERS[name](settings, runtime, switches)


if __name__ == "__main__":
    main(*sys.argv[1:])
