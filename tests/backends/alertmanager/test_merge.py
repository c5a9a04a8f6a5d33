"""A merge changes nothing that is not sloctl's, whatever style the base is written in."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sloctl.backends.alertmanager.backend import fragment
from sloctl.backends.alertmanager.base import BaseError, read_routes
from sloctl.backends.alertmanager.merge import merged, without
from sloctl.backends.alertmanager.routes import route_tree
from sloctl.backends.alertmanager.tree import all_routes
from sloctl.model.catalogue import Catalogue
from sloctl.rendering import to_yaml
from tests.backends.alertmanager.catalogues import Owned, one, platform
from tests.conftest import program

BLOCK = """\
# Alertmanager of ACME, owned by ops
global:
  smtp_smarthost: mail.example.com:587   # the relay
  smtp_from: 'alerts@example.com'

route:
  # whatever nobody claims
  receiver: ops
  group_by: [ alertname,   cluster ]
  routes:
    # databases first
    - matchers: [ 'team = "db"' ]
      receiver: "db"

receivers:
    # four spaces, on purpose
    - name: ops
      slack_configs: [{api_url: "https://hooks.slack.example/x", channel: '#ops'}]

    - name: "db"
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity="warning"]
  equal: [alertname]
templates: []
"""
BASES = {
    "block": BLOCK,
    "no-lists": "route:\n  receiver: ops  # all\n"
    "global: {smtp_smarthost: 'm:25', smtp_from: a@example.com}\nreceivers:\n- name: ops",
    "flow": "global: {smtp_smarthost: 'm:25', smtp_from: a@example.com}\n"
    "route: {receiver: ops, routes: [{receiver: ops, matchers: ['a=b']}]}\n"
    "receivers: [{name: ops},\n  {name: two}]\ninhibit_rules: []\n",
    "json": '{"global": {"smtp_smarthost": "m:25", "smtp_from": "a@example.com"}, '
    '"route": {"receiver": "ops"}, "receivers": [{"name": "ops"}]}\n',
    "windows": BLOCK.replace("\n", "\r\n"),
    "anchors": "global:\n  smtp_smarthost: &relay m:25\n  smtp_from: a@example.com\n  smtp_hello: *relay\n"
    "route:\n    receiver: ops\n    routes:\nreceivers:\n  - &ops\n    name: ops\n  - <<: *ops\n    name: more\n"
    "time_intervals:\n  - name: weekends\n    time_intervals: [{weekdays: ['saturday']}]\n",
}


def shop(*teams: str) -> Catalogue:
    services = [Owned(f"api-{team}", team, {"ok": ["tenant"]}) for team in teams]
    return Catalogue((platform("shop", teams, services),))


def merge(base: str, made: Catalogue | None = None) -> str:
    return merged(base, "alertmanager.yml", fragment(made or shop("web")), to_yaml)


@pytest.mark.parametrize("style", BASES)
def test_a_second_merge_changes_nothing(style: str) -> None:
    once = merge(BASES[style])
    assert merge(once) == once
    assert once != BASES[style]


@pytest.mark.parametrize("style", BASES)
def test_all_of_the_base_stays_byte_for_byte(style: str) -> None:
    base = BASES[style]
    assert without(merge(base)).removesuffix("\n").removesuffix("\r") == base.removesuffix("\n").removesuffix("\r")
    rest = iter(merge(base).splitlines(keepends=True))
    if style in {"block", "windows", "anchors"}:
        assert all(line in rest for line in base.splitlines(keepends=True))


@pytest.mark.parametrize("style", BASES)
def test_a_merge_replaces_an_older_one(style: str) -> None:
    assert merge(merge(BASES[style], shop("web", "old")), shop("web")) == merge(BASES[style])


@pytest.mark.parametrize("style", BASES)
def test_the_route_comes_first_and_is_what_was_generated(style: str) -> None:
    text = merge(BASES[style])
    value = yaml.safe_load(text)
    assert value["route"]["routes"][0]["matchers"] == ["sloctl=v1"]
    assert value["receivers"][-1]["name"] in {"ops", "db", "two", "more"}
    read = read_routes(text, "alertmanager.yml")
    assert read is not None
    assert [(route.receiver, route.key) for route in all_routes(read)] == [
        (route.receiver, route.key) for route in all_routes(route_tree(shop("web")))
    ]


@pytest.mark.server
@pytest.mark.parametrize("style", BASES)
def test_amtool_accepts_what_was_merged(style: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_bytes(merge(BASES[style]).encode())
    ran = subprocess.run([program("amtool"), "check-config", file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.property
@settings(max_examples=20)  # a base is parsed thrice; the styles are few
@given(st.sampled_from(sorted(BASES)), st.lists(st.sampled_from(["web", "pay", "db", "x-1"]), min_size=1, unique=True))
def test_merging_twice_is_merging_once_for_any_teams(style: str, teams: list[str]) -> None:
    once = merge(BASES[style], shop(*teams))
    assert merge(once, shop(*teams)) == once


HEAD = "global: {smtp_smarthost: 'm:25', smtp_from: a@example.com}\n"
GOOD = HEAD + "route:\n  receiver: ops\nreceivers:\n  - name: ops\n"
BAD = {
    "a receiver of ours": (GOOD + "  - name: slo-x\n", "6:11", "`slo-x` has a name of sloctl's"),
    "a route to ours": (
        GOOD.replace("ops\nrec", "ops\n  routes: [{receiver: slo-y}]\nrec"),
        "4:23",
        "this route leads to `slo-y`",
    ),
    "an interval of ours": (GOOD + "time_intervals:\n  - name: slo-z\n", "7:11", "`slo-z` has a name of sloctl's"),
    "no YAML": ("route: [\n", "2:1", "the file is no YAML"),
    "nothing": ("", "1:1", "one mapping is needed"),
    "a list": ("- a\n", "1:1", "one mapping is needed"),
    "two documents": (GOOD + "---\na: b\n", "1:1", "one mapping is needed"),
    "no route": (HEAD + "receivers: [{name: ops}]\n", "1:1", "there is no root route"),
    "no list": (GOOD.replace("receivers:\n  - name: ops", "receivers: ops"), "4:12", "`receivers` is no list"),
    "a key twice": (GOOD + "route: {receiver: ops}\n", "6:1", "the key `route` is there twice"),
    "nested details": (
        GOOD + "    pagerduty_configs: [{routing_key_file: /k, details: {a: {b: c}}}]\n",
        "6:61",
        "the PagerDuty detail `a` is nested",
    ),
    "no mail server": (GOOD.removeprefix(HEAD), "1:1", "`global` has no `smtp_smarthost`"),
    "a bomb": ("[" * 20000, "1:1", "nested too deeply"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_base_that_cannot_be_used_is_refused_at_its_place(what: str) -> None:
    text, place, message = BAD[what]
    with pytest.raises(BaseError) as refused:
        merge(text)
    assert str(refused.value).startswith(f"alertmanager.yml:{place}: ")
    assert message in str(refused.value)
    assert "\n  help: " in str(refused.value)


def test_no_secret_is_written_and_every_credential_is_a_file() -> None:
    text = merged(GOOD, "a.yml", fragment(Catalogue((replace(one(), fallback=None),)), "/run/secrets"), to_yaml)
    assert "routing_key_file: /run/secrets/pagerduty-web" in text
    assert "api_url_file: /run/secrets/slack-web-pages" in text
    for literal in ("routing_key:", "service_key:", "api_url:", "auth_password:", "credentials:"):
        assert literal not in text
