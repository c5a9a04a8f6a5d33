"""examples/argo-rollouts: what is applied is valid, fits together, and comes from its specification."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloctl.cli import main
from testing.servers import ROOT
from tests.backends.argo.test_schema import validated

FOLDER = ROOT / "examples" / "argo-rollouts"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def merged(base: Any, patch: Any) -> Any:
    """JSON merge patch, RFC 7386."""
    if not isinstance(patch, dict) or not isinstance(base, dict):
        return patch
    return {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}


def patched(value: Any, operations: list[dict[str, Any]]) -> Any:
    """JSON patch, RFC 6902, as far as it is used: `add` of a new key, or at the end of an array."""
    for operation in operations:
        assert operation["op"] == "add"
        *path, key = operation["path"].strip("/").split("/")
        place = value
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if key == "-":
            place.append(operation["value"])
            continue
        assert key not in place
        place[key] = operation["value"]
    return value


def rollout(*, dry: bool) -> Any:
    kustomization = read("kustomization.yaml")
    steps, dry_run = (read(patch["path"]) for patch in kustomization["patches"])
    whole = merged(read("rollout.yaml"), steps)
    return patched(whole, dry_run) if dry else whole


@pytest.mark.server
def test_argo_s_schema_accepts_the_rollout_with_and_without_dry_run() -> None:
    templates = read("rules/argo/default/checkout-canary.yaml")["items"]
    assert validated([rollout(dry=True), rollout(dry=False), *templates]) == ["ok"] * (2 + len(templates))


def test_in_a_dry_run_every_metric_of_every_analysis_is_one() -> None:
    templates = {item["metadata"]["name"]: item for item in read("rules/argo/default/checkout-canary.yaml")["items"]}
    canary = rollout(dry=True)["spec"]["strategy"]["canary"]
    analyses = [canary["analysis"], *(step["analysis"] for step in canary["steps"] if "analysis" in step)]
    assert len(analyses) == 3
    for analysis in analyses:
        [used] = analysis["templates"]
        metrics = templates[used["templateName"]]["spec"]["metrics"]
        assert analysis["dryRun"] == [{"metricName": metric["name"]} for metric in metrics]
        declared = {each["name"] for each in templates[used["templateName"]]["spec"]["args"]}
        assert {each["name"] for each in analysis["args"]} <= declared
        assert ({"name": "dry_run", "value": "true"} in analysis["args"]) == ("dry_run" in declared)


def test_the_rules_are_what_the_specification_compiles_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FOLDER, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    assert main(["generate", "slo-spec.yaml", "--root", ".", "--only", "argo", "--check"]) == 0


def test_the_parts_fit_together() -> None:
    deployment, service, scraped, _ = yaml.safe_load_all((FOLDER / "server.yaml").read_text(encoding="utf-8"))
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert deployment["spec"]["replicas"] == 2
    assert container["env"][0]["name"] == "SLOCTL_CANARY_STORE"
    assert {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("readiness", "liveness")} == {
        "readiness": "/readyz",
        "liveness": "/healthz",
    }
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == service["spec"]["selector"] == scraped["spec"]["selector"]["matchLabels"]
    ports = {port["name"] for port in container["ports"]}
    assert {endpoint["port"] for endpoint in scraped["spec"]["podMetricsEndpoints"]} <= ports
    [template, *_] = read("rules/argo/default/checkout-canary.yaml")["items"]
    [address] = [argument["value"] for argument in template["spec"]["args"] if argument["name"] == "server"]
    assert address == f"http://{service['metadata']['name']}.sloctl:{service['spec']['ports'][0]['port']}"
    words = [word.partition("=")[0] for word in container["args"]]
    assert {"--prometheus", "--listen", "--tokens", "--drain", "--root"} < set(words)


def test_no_secret_is_written_down() -> None:
    for file in FOLDER.rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            assert not isinstance(document, dict) or document.get("kind") != "Secret", file
