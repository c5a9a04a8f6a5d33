"""Grafana's own descriptions of a dashboard accept ours: the Foundation SDK and the types of @grafana/schema."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

from tests.backends.grafana.conftest import Dashboards

with warnings.catch_warnings():  # it recommends its next schema, which Grafana 10 does not read
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.models.dashboard import Dashboard

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:grafana_foundation_sdk")
register_default_plugins()


def lost(before: Any, after: Any, path: str = "$") -> Iterator[str]:
    """What of a value is missing or different after a round trip; what was added is not asked."""
    if isinstance(before, Mapping):
        if not isinstance(after, Mapping):
            yield f"{path}: {before!r} became {after!r}"
            return
        for key, value in before.items():
            if key not in after:
                yield f"{path}.{key} = {value!r} is lost"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            yield f"{path}: a list of {len(before)} became {after!r}"
            return
        for index, (each, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(each, other, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


def test_the_foundation_sdk_reads_every_key_that_is_written(dashboards: Dashboards) -> None:
    found = []
    for path, value in dashboards.items():
        plain = json.loads(json.dumps(value))
        again = json.loads(json.dumps(Dashboard.from_json(json.loads(json.dumps(value))), cls=JSONEncoder))
        found += [f"{path} {line}" for line in lost(plain, again)]
    if found:
        pytest.fail("\n".join(sorted({line.partition(" ")[2] for line in found})[:40]), pytrace=False)


def test_the_round_trip_notices_an_unknown_key(dashboards: Dashboards) -> None:
    value = json.loads(json.dumps(next(iter(dashboards.values()))))
    value["panels"][0]["options"]["notAnOption"] = 1
    again = json.loads(json.dumps(Dashboard.from_json(json.loads(json.dumps(value))), cls=JSONEncoder))
    assert [line for line in lost(value, again) if "notAnOption" in line]
