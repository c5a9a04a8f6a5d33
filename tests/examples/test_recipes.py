"""The recipes that users copy: their syntax by programs we did not write; every command in them exists and works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from sloctl.cli import cli
from testing.servers import ROOT
from tests.conftest import Promtool, program

RECIPES = ROOT / "examples" / "recipes"
FILES = sorted(path for path in (*RECIPES.rglob("*.y*ml"), ROOT / ".pre-commit-hooks.yaml"))
COMMAND = re.compile(r"^ *(sloctl [^\n;|#`>]*)", re.MULTILINE)
QUOTED = re.compile(r"`(sloctl [^`]*)`")


def texts(value: Any) -> Iterator[str]:
    """Every text of a document; a list that begins with `sloctl` is one command."""
    match value:
        case str():
            yield value
        case ["sloctl", *_]:
            yield shlex.join(value)
        case list():
            for each in value:
                yield from texts(each)
        case dict():
            if isinstance(value.get("command"), list) and isinstance(value.get("args"), list):
                yield shlex.join([*value["command"], *value["args"]])
            for each in value.values():
                yield from texts(each)


def commands(path: Path) -> set[str]:
    """The commands of a recipe, in its values and in its comments."""
    text = path.read_text(encoding="utf-8")
    written = [each for document in yaml.safe_load_all(text) for each in texts(document)]
    comments = [line.split("#", 1)[1] for line in text.splitlines() if line.lstrip().startswith("#   sloctl ")]
    found = [match for each in (*written, *comments) for match in COMMAND.findall(each)]
    return {re.sub(r"  +.*", "", each).strip() for each in [*found, *QUOTED.findall(text)]}


def unknown(command: str) -> str | None:
    """What does not exist in a command: a subcommand or an option."""
    words = iter(shlex.split(command.replace("\\", ""))[1:])
    found: click.Command = cli
    for word in words:
        if isinstance(found, click.Group):
            if word not in found.commands:
                return word
            found = found.commands[word]
        elif word.startswith("-") and word.split("=")[0] not in {o for p in found.params for o in p.opts}:
            return word
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_sloctl_command_of_a_recipe_exists(path: Path) -> None:
    assert {command: what for command in commands(path) if (what := unknown(command))} == {}


def test_the_reader_of_commands_sees_them_and_what_is_wrong_with_them() -> None:
    assert "sloctl routes merge --base alertmanager.yml -o alertmanager.yml" in commands(RECIPES / "alertmanager.yml")
    assert len(commands(RECIPES / "github-actions.yaml")) == 5
    [serve] = [
        command
        for command in commands(RECIPES / "argo-rollouts/canary-server.yaml")
        if "serve" in command and "--" in command
    ]
    assert "--tokens /etc/sloctl/tokens" in serve
    assert unknown("sloctl generate --chek") == "--chek"
    assert unknown("sloctl canary sreve slo-specs") == "sreve"
    assert unknown("sloctl canary serve slo-specs --prometheus=http://x") is None


def test_the_workflow_is_one_of_github_actions() -> None:
    tool = Path(sysconfig.get_path("scripts"), "check-jsonschema")
    workflow = RECIPES / "github-actions.yaml"
    ran = subprocess.run(
        [tool, "--builtin-schema", "vendor.github-workflows", workflow], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


GH = """\
#!/bin/sh
echo "$@" > said.txt
while [ "$#" -gt 1 ]; do [ "$1" = --body-file ] && cat "$2" >> said.txt; shift; done
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a first specification on `main` and a change of it on a branch."""
    folder = tmp_path / "repository"
    folder.mkdir()
    run(folder, "git init -q -b main && sloctl init && sloctl generate && git add . && git commit -qm first")
    run(folder, "git checkout -qb change && sed -i 's/99.9%/99.5%/' slo-specs/*.yaml && sloctl generate")
    run(folder, "git add . && git commit -qm change")
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    tools = folder.parent / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    path = [str(tools), sysconfig.get_path("scripts"), str(program("promtool").parent), os.environ["PATH"]]
    who = {
        f"GIT_{role}_{what}": f"{what.lower()}@example.com"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(folder.parent)}
    return {**os.environ, **plain, **who, "PATH": os.pathsep.join(path), **more}


def run(folder: Path, script: str, *, good: bool = True, **more: str) -> str:
    """Run a script as GitHub does; what it said."""
    ran = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder, env=environment(folder, **more), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (ran.returncode == 0) == good, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def steps() -> dict[str, str]:
    """The scripts of the workflow by name, without the installation."""
    [job] = yaml.safe_load((RECIPES / "github-actions.yaml").read_text())["jobs"].values()
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step and "Install" not in step["name"]}


def test_the_workflow_runs_and_says_in_the_pull_request_what_changes(repository: Path) -> None:
    for script in steps().values():
        run(repository, script, BASE="main", PULL_REQUEST="7")
    said = (repository / "said.txt").read_text()
    assert said.startswith("pr comment 7 --edit-last --create-if-none --body-file comment.md\n```text\n")
    assert "99.9%" in said
    assert "99.5%" in said


def test_the_workflow_fails_where_generated_files_were_not_committed(repository: Path) -> None:
    run(repository, "sed -i 's/99.5%/99%/' slo-specs/*.yaml && git commit -qam forgotten")
    assert "sloctl generate" in run(repository, steps()["What is generated is up to date"], good=False)


def test_the_hooks_are_a_manifest_of_pre_commit() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml"]
    config = [sys.executable, "-m", "pre_commit", "validate-config", RECIPES / "pre-commit-config.yaml"]
    for each in (command, config):
        ran = subprocess.run(each, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    [repository] = yaml.safe_load((RECIPES / "pre-commit-config.yaml").read_text())["repos"]
    assert {hook["id"] for hook in repository["hooks"]} == hooks


def test_the_hooks_pass_a_good_commit_and_stop_a_bad_one(repository: Path) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    local = {"repo": "local", "hooks": [{**hook, "language": "system"} for hook in hooks]}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [local]}))
    check = f"git add . && {sys.executable} -m pre_commit run --all-files"
    said = run(repository, check)
    assert said.count("Passed") == len(hooks)
    run(repository, "sed -i 's/99.5%/0.995/' slo-specs/*.yaml")
    assert "error[SLO022]" in run(repository, check, good=False)


def test_prometheus_takes_its_configuration_with_all_rules(tmp_path: Path, promtool: Promtool) -> None:
    config = yaml.safe_load((RECIPES / "prometheus.yml").read_text())
    for job in config["scrape_configs"]:
        [pods] = job.pop("kubernetes_sd_configs")  # Debian's Prometheus is built without Kubernetes
        assert pods == {"role": "pod", "namespaces": {"names": ["tracking"]}}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    checked = promtool("check", "config", "prometheus.yml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    expected = [*(ROOT / "rules/prometheus").glob("*.yaml"), *(ROOT / "rules/prometheus/routemesh").glob("*.yaml")]
    assert checked.stdout.count("rules found") == len(expected) > 5


def test_alertmanager_takes_its_configuration_with_all_routes(tmp_path: Path) -> None:
    shutil.copy(RECIPES / "alertmanager.yml", tmp_path)
    shutil.copytree(ROOT / "slo-specs", tmp_path / "slo-specs")
    [merge] = [command for command in commands(RECIPES / "alertmanager.yml") if "merge" in command]
    run(tmp_path, merge)
    amtool = program("amtool")
    checked = subprocess.run(
        [amtool, "check-config", tmp_path / "alertmanager.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "slo-routemesh-tracking-P1" in (tmp_path / "alertmanager.yml").read_text()


ARGO = RECIPES / "argo-rollouts"


def documents(path: Path) -> list[dict[str, Any]]:
    """The Kubernetes objects of a file; those of a List one by one."""
    found = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    return [each for document in found for each in (document["items"] if document["kind"] == "List" else [document])]


def named(path: str) -> Path:
    """A file that the kustomization names: one beside it, or a generated one."""
    return ROOT / path if path.startswith("rules/") else ARGO / path


def test_the_kustomization_puts_the_generated_steps_into_the_rollout() -> None:
    [kustomization] = documents(ARGO / "kustomization.yaml")
    objects = [document for path in kustomization["resources"] for document in documents(named(path))]
    [patch] = documents(named(*[patch["path"] for patch in kustomization["patches"]]))
    [rollout] = [resource for resource in objects if resource["kind"] == "Rollout"]
    assert (patch["apiVersion"], patch["kind"]) == (rollout["apiVersion"], rollout["kind"])
    assert patch["metadata"]["name"] == rollout["metadata"]["name"]
    assert set(patch["spec"]) == {"strategy"}
    own, generated = rollout["spec"]["strategy"]["canary"], patch["spec"]["strategy"]["canary"]
    assert "steps" not in own
    used = {template["templateName"] for template in generated["analysis"]["templates"]}
    used |= {
        template["templateName"]
        for step in generated["steps"]
        for template in step.get("analysis", {}).get("templates", [])
    }
    assert used == {resource["metadata"]["name"] for resource in objects if resource["kind"] == "AnalysisTemplate"}


def test_the_canary_server_is_where_the_generated_templates_ask() -> None:
    objects = {document["kind"]: document for document in documents(ARGO / "canary-server.yaml")}
    service, deployment = objects["Service"], objects["Deployment"]
    [port] = service["spec"]["ports"]
    address = f"http://{service['metadata']['name']}.{service['metadata']['namespace']}:{port['port']}"
    templates = documents(ROOT / "rules/argo/routemesh/tracking-api-canary.yaml")
    arguments = [{argument["name"]: argument for argument in template["spec"]["args"]} for template in templates]
    assert {argument["server"]["value"] for argument in arguments} == {address}
    comments = (ARGO / "canary-server.yaml").read_text()
    for secret in (argument["token"]["valueFrom"]["secretKeyRef"] for argument in arguments):
        assert f"secret generic {secret['name']} --from-literal={secret['key']}=SECRET" in comments
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    [container] = pod["spec"]["containers"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"/etc/slo-specs", "/etc/sloctl"}
    assert {container["command"][3], str(Path(container["args"][5]).parent)} == mounted
