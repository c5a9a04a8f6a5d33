"""The templates that come with sloctl: each is valid, proven in promtool, and named where it is used wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloctl.cli import main
from sloctl.language.document import Template
from sloctl.language.std import std_names, std_template
from sloctl.language.writing import yaml_text
from tests.conftest import program

PLATFORM = """apiVersion: sloctl/v1
kind: Platform
name: std
runbook: https://runbooks.example.com/$slo
alerts: [{severity: P1, burn: 14.4, over: 1h, also_over: 5m}]
teams: {all: {P1: {pagerduty: all}, P2: {pagerduty: all}, P3: {pagerduty: all}}}
team: all
"""


def write_services(names: list[str], folder: Path) -> None:
    """A service for each template, with a value for each parameter that needs one."""
    (folder / "platform.yaml").write_text(PLATFORM)
    for name in names:
        spec = std_template(name).spec
        assert isinstance(spec, Template)
        needed = [parameter for parameter, default in (spec.parameters or {}).items() if default is None]
        use = {"template": name, "with": {each: 100 if each == "at_most" else f"my-{each}" for each in needed}}
        service = {"apiVersion": "sloctl/v1", "kind": "Service", "service": name.removeprefix("std/"), "uses": [use]}
        (folder / f"{name.removeprefix('std/')}.yaml").write_text(yaml_text(service))


def test_each_template_is_valid_without_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_services(list(std_names()), tmp_path)
    assert main(["validate", str(tmp_path), "--root", str(tmp_path), "--strict"]) == 0, capsys.readouterr().err
    assert len(std_names()) >= 30


@pytest.mark.parametrize("part", range(3))
def test_each_template_is_proven(part: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("promtool")
    write_services(list(std_names()[part::3]), tmp_path)
    assert main(["test", str(tmp_path), "--root", str(tmp_path)]) == 0, capsys.readouterr().out
    assert "0 not provable, 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize("name", std_names())
def test_each_template_says_what_it_is_for_and_describes_its_slos(name: str) -> None:
    template = std_template(name)
    slos = template.tree.find("slos")
    assert isinstance(slos, list)
    assert all(slo["description"] for slo in slos)  # type: ignore[index, call-overload]
    assert f"std/{template.spec.name}" == name  # type: ignore[union-attr]


def service(use: str, folder: Path) -> str:
    file = folder / "shop.yaml"
    file.write_text(f"apiVersion: sloctl/v1\nkind: Service\nservice: shop\nuses: [{use}]\n")
    return str(file)


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("std/isti", "there is no template `std/isti`"),
        ("std/isti", "did you mean `std/istio`?"),
        ("std/istio", "the parameter `service` of the template has no value"),
        ("std/istio", "std/istio.yaml:9:3: it has no default"),
        ("{template: std/redis, with: {jobs: a}}", "the template has no parameter `jobs`"),
        ("{template: std/redis, with: {job: a, objective: 3}}", "std/redis.yaml"),
    ],
)
def test_a_wrong_use_names_the_place_in_the_template(
    use: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", service(use, tmp_path), "--root", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err


def test_a_template_of_sloctl_is_no_input_of_the_artifacts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = service("{template: std/redis, with: {job: a}}", tmp_path)
    assert main(["generate", file, "--root", str(tmp_path), "-o", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["generate", file, "--root", str(tmp_path), "-o", str(tmp_path), "--check"]) == 0
    assert not any("std/" in manifest.read_text() for manifest in tmp_path.rglob(".sloctl*") if manifest.is_file())


def test_the_templates_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["templates"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(std_names())
    assert any(line.startswith("std/redis ") and "redis_exporter" in line for line in listed)
    assert main(["templates", "std/redis"]) == 0
    assert "name: redis\n" in capsys.readouterr().out
    assert main(["templates", "std/rediss"]) == 2
    assert "did you mean `std/redis`?" in capsys.readouterr().err
