"""An Alertmanager over HTTP: the configuration that it has loaded, and an alert for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from sloctl.errors import OutsideError
from sloctl.prometheus import without_password

_TIMEOUT = 30


def configuration(url: str) -> str:
    """The configuration that an Alertmanager has loaded, secrets left out.

    Raises:
        OutsideError: it does not say.
    """
    try:
        answer = httpx.get(_address(url, "status"), timeout=_TIMEOUT)
        text: str = answer.raise_for_status().json()["config"]["original"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise OutsideError(f"{without_password(url)} does not say its configuration: {error}") from error
    return text


def send(url: str, alert: Mapping[str, Any]) -> None:
    """Tell an Alertmanager of one alert, in the shape of its API.

    Raises:
        OutsideError: it does not take it.
    """
    try:
        httpx.post(_address(url, "alerts"), json=[alert], timeout=_TIMEOUT).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OutsideError(f"{without_password(url)} does not take the alert: {error}") from error


def _address(url: str, path: str) -> str:
    return f"{url.rstrip('/')}/api/v2/{path}"
