"""What somebody's own Alertmanager configuration does to our alerts is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloctl.cli import main
from tests.conftest import program

SPEC = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
runbook: https://runbooks.example.com/x
team: checkout
severities: {P1: critical, P2: warning, P3: info}
teams: {checkout: {P1: {pagerduty: checkout}, P2: {slack: '#checkout'}, P3: {slack: '#checkout'}}}
---
apiVersion: sloctl/v1
kind: Service
service: cart
slos:
  - name: availability
    objective: 99.9%
    sli: {ratio: {total: 'http_requests_total{job="cart"}', bad_if: 'code=~"5.."'}}
  - name: latency
    objective: 99%
    sli: {latency: {histogram: 'http_request_duration_seconds{job="cart"}', at_most: 500ms}}
"""
HEAD = "route: {receiver: default}\nreceivers: [{name: default}]\n"


def merged(base: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "base.yml").write_text(base)
    words = ["routes", "merge", str(folder / "spec.yaml"), "--root", str(folder)]
    code = main([*words, "--base", str(folder / "base.yml"), "-o", str(folder / "merged.yml")])
    return code, capsys.readouterr().err


RULE = "inhibit_rules:\n  - {source}\n    {target}\n    equal: [{equal}]\n"


@pytest.mark.parametrize(
    ("source", "target", "equal", "code", "said"),
    [
        # a page of one SLO mutes tickets of all others of the service
        ("source_match: {severity: critical}", "target_match: {severity: info}", "instance, service", 1,
         "would mute CartLatencyBudgetBurnP3Over1d"),
        ("source_match: {severity: critical}", "target_matchers: [severity=~warning|info]", "", 1, "would mute"),
        # kube-prometheus: the names differ, so nothing of ours is muted
        ("source_matchers: ['severity = critical']", "target_matchers: ['severity =~ warning|info']",
         "namespace, alertname", 0, ""),
        ("source_matchers: [alertname=InfoInhibitor]", "target_matchers: [severity=info]", "namespace", 0,
         'an alert with alertname="InfoInhibitor" without `namespace` would mute'),
        ("source_matchers: [alertname=Maintenance]", "target_matchers: [severity=critical]", "", 1,
         'an alert with alertname="Maintenance" would mute'),
        ("source_matchers: [alertname=Maintenance]", "target_matchers: ['severity=critical,sloctl=\"\"']", "", 0, ""),
        ("source_matchers: [a=b]", "target_matchers: ['{platform=\"other\"}']", "", 0, ""),
        # within an SLO the higher tier mutes the lower ones anyway
        ("source_matchers: [severity=critical]", "target_matchers: [severity=info]", "slo", 0, ""),
    ],
)  # fmt: skip
def test_what_would_mute_an_alert_is_said(
    source: str, target: str, equal: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = HEAD + RULE.format(source=source, target=target, equal=equal)
    done, told = merged(base, tmp_path, capsys)
    assert (done, said in told) == (code, True), told
    if said:
        assert "base.yml:4:5: by this inhibit rule" in told
        assert 'add `sloctl=""` to its target matchers' in told
    else:
        assert "inhibit" not in told


def test_a_route_that_no_longer_sees_our_alerts_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routes = "  routes:\n    - {receiver: archive, continue: true}\n    - {receiver: default, matchers: [a=b]}\n"
    base = f"route:\n  receiver: default\n{routes}receivers: [{{name: default}}, {{name: archive}}]\n"
    done, told = merged(base, tmp_path, capsys)
    assert done == 0
    assert "warning: " in told
    assert "base.yml:4:7: with `continue: true` this route tells `archive` of every alert" in told
    assert merged(base.replace("continue: true", "continue: true, matchers: [team=other]"), tmp_path, capsys) == (0, "")


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("alertmanager_config: |\n  route: {receiver: x}\n", "a configuration of Mimir"),
        ("alertmanager:\n  config:\n    route: {receiver: x}\n", "under `alertmanager.config`"),
        ("kind: Secret\nstringData:\n  alertmanager.yaml: |\n    a: 1\n", "under `stringData.alertmanager.yaml`"),
        (
            "kind: AlertmanagerConfig\nspec:\n  route: {receiver: x}\n",
            "an AlertmanagerConfig of the Prometheus operator",
        ),
        ("global:\n  smtp_auth_password: {{ smtp_password }}\n" + HEAD, "base.yml:2:24"),
        ("{% if x %}\nroute: {receiver: x}\n{% endif %}\n", "is a template"),
        (HEAD + "inhibit_rules: [{source_matchers: ['a ~ b'], target_matchers: [c=d]}]\n", "is no matcher"),
        (HEAD + "inhibit_rules: 3\n", ""),
    ],
)
def test_wrapped_files_and_templates_are_refused_with_what_to_do(
    base: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done, told = merged(base, tmp_path, capsys)
    assert done == 1, told
    assert said in told


def test_matchers_in_every_form_are_read_as_amtool_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("amtool")
    routes = [
        '{receiver: pager, matchers: [\'severity="page",team="x"\']}',
        '{receiver: pager, matchers: [\'{severity="page", team=~"a|b"}\']}',
        "{receiver: pager, match: {severity: page}}",
    ]
    listed = "".join(f"    - {route}\n" for route in routes)
    base = f"route:\n  receiver: default\n  routes:\n{listed}receivers: [{{name: default}}, {{name: pager}}]\n"
    assert merged(base, tmp_path, capsys) == (0, "")
    assert main(["routes", "diff", str(tmp_path / "base.yml"), str(tmp_path / "merged.yml")]) in {0, 1}
    assert "is no matcher" not in capsys.readouterr().err
    words = ["routes", "test", str(tmp_path / "spec.yaml"), "--root", str(tmp_path)]
    assert main([*words, "--base", str(tmp_path / "base.yml")]) == 0, capsys.readouterr().err
