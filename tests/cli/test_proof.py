"""The commands explain, test and diff: what they print and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sloctl.cli import main
from tests.conftest import program

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: ok
    objective: 99.9%
    traffic: 600/min
    sli: {ratio: {total: requests_total, bad: failures_total}}
    alerts: [{severity: P1, burn: 14.2, over: BURN}]
"""


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `slo-specs/`, which is the working directory."""
    (tmp_path / "slo-specs").mkdir()
    (tmp_path / "slo-specs" / "api.yaml").write_text(SPEC.replace("BURN", "5m"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_without_promtool_the_exit_code_is_3_and_the_message_says_where_it_comes_from(
    specs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(specs))
    assert main(["test"]) == 3
    assert "no promtool on PATH. It comes with Prometheus 2.42" in capsys.readouterr().err


def test_an_old_promtool_is_refused(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = specs / "promtool"
    old.write_text("#!/bin/sh\necho 'promtool, version 2.31.1 (branch)'\n")
    old.chmod(0o755)
    assert main(["test", "--promtool", str(old)]) == 3
    assert "is version 2.31; sloctl test needs 2.42 or later" in capsys.readouterr().err


@pytest.mark.server
def test_sound_rules_are_proven_and_an_edited_file_fails(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool = ["--promtool", str(program("promtool"))]
    assert main(["test", *tool]) == 0
    assert "1 of 1 tiers proven" in capsys.readouterr().out
    assert main(["generate", "--only", "prometheus"]) == 0
    rules = specs / "rules/prometheus/default/api.yaml"
    rules.write_text(rules.read_text().replace("> 0.0142", "> 0.02"))
    capsys.readouterr()
    assert main(["test", *tool, "--rules", "rules/prometheus", "--keep", "kept"]) == 1
    said = capsys.readouterr().out
    assert (
        "failed: default/api/ok p1-5m: ApiOkBudgetBurnP1Over5m: just above its threshold: "
        "expected firing, seen silent" in said
    )
    assert list((specs / "kept").glob("*/test.json"))


@pytest.mark.server
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("groups: " + "[" * 900 + "]" * 900, "it is nested deeper than 32 levels"),
        ("groups: " + "[" * 100_000, ""),  # libyaml's own limit, where it has one, comes first
        ("{a: " * 100_000, ""),
        ("a: &a [x]\ngroups: [*a, *a]", "it has aliases"),
        ("groups: [1]", "TypeError"),
        ("groups: [{name: a}]", "KeyError"),
        ("groups: [{name: [a], rules: []}]", "TypeError"),
        ("groups: [{name: slo-default-api-ok-fast, rules: [1]}]", "TypeError"),
        ("groups: [{name: slo-default-api-ok-fast, rules: [abc]}]", "dictionary update sequence"),
        ("groups: [{name: slo-default-api-ok-fast, rules: [{record: [x], expr: 1}]}]", "has another form"),
        ("groups: [{name: slo-default-api-ok-fast, rules: [{alert: x, expr: up, labels: up}]}]", "has another form"),
        ("a: b: c", "ScannerError"),
    ],
)
def test_what_is_no_rule_file_is_refused(specs: Path, capsys: pytest.CaptureFixture[str], text: str, why: str) -> None:
    (specs / "rules.yaml").write_text(text)
    assert main(["test", "--promtool", str(program("promtool")), "--rules", "rules.yaml"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("sloctl: rules.yaml is no rule file of Prometheus: ")
    assert why in said


@pytest.mark.server
def test_what_cannot_be_derived_is_named_with_its_reason_and_its_tiers_are_proven(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = SPEC.replace("BURN", "5m").replace(
        "{ratio: {total: requests_total, bad: failures_total}}",
        "{query: {total: 'sum(increase(a[$window]))', bad: 'sum(increase(b[$window]))'}}",
    )
    (specs / "slo-specs" / "api.yaml").write_text(spec)
    assert main(["test", "--promtool", str(program("promtool"))]) == 0
    said = capsys.readouterr().out
    assert "not provable: default/api/ok slo:sli_total:increase1m: a query is the user's own PromQL" in said
    assert "1 of 1 tiers proven" in said
    assert ", 2 not provable, 0 failed" in said


@pytest.mark.server
def test_programs_read_each_claim_and_its_tiers(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One SLO is proven, a second has its shape, and the rules of a third were edited."""
    file = specs / "slo-specs" / "api.yaml"
    one = file.read_text()
    two = one + one.partition("slos:\n")[2].replace("name: ok", "name: two").replace("_total", "_two_total")
    file.write_text(two)
    command = ["test", "--promtool", str(program("promtool")), "--format", "json"]
    assert main(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tiers"] == {"proven": 2, "all": 2}
    assert said["proofs"]["proven"] > 10
    assert (said["proofs"]["failed"], said["proofs"]["of_known_shape"]) == (0, 1)
    (like,) = [claim for claim in said["claims"] if claim["like"]]
    assert (like["slo"], like["like"], like["result"]) == ("default/api/two", "default/api/ok", "proven")
    assert like["tiers"] == [{"tier": "p1-5m", "proven": True}]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == said  # nothing has changed, and nothing is proven anew
    assert main(["generate", "--only", "prometheus"]) == 0
    rules = specs / "rules/prometheus/default/api.yaml"
    rules.write_text(rules.read_text().replace("> 0.0142", "> 0.02", 1))
    capsys.readouterr()
    assert main([*command, "--rules", "rules/prometheus"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["tiers"] == {"proven": 1, "all": 2}
    failed = {claim["part"]: claim["why"] for claim in said["claims"] if claim["result"] == "failed"}
    assert {"rules", "p1-5m"} <= failed.keys()
    assert "is not the rule that the specification compiles to" in failed["rules"][0]


@pytest.mark.server
def test_what_was_proven_is_proven_again_only_where_it_changed(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, tool = specs / "runs", specs / "counting"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {runs}\nexec {program("promtool")} "$@"\n')
    tool.chmod(0o755)

    def tested(*more: str) -> tuple[int, str]:
        runs.write_text("")
        assert main(["test", "--promtool", str(tool), *more]) == 0
        return runs.read_text().count("test.json"), capsys.readouterr().out

    first, said = tested()
    assert first > 10
    assert tested() == (0, said)
    assert tested("--no-cache") == (first, said)
    assert tested("--keep", "kept") == (first, said)
    file = specs / "slo-specs" / "api.yaml"
    file.write_text(file.read_text().replace("burn: 14.2", "burn: 13"))
    again, _ = tested()
    assert 0 < again < first
    tool.write_text(tool.read_text() + "# another program\n")
    assert tested()[0] == first


@pytest.mark.server
def test_what_failed_is_not_kept(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--only", "prometheus"]) == 0
    rules = specs / "rules/prometheus/default/api.yaml"
    rules.write_text(rules.read_text().replace("interval: 1m", "interval: 5m"))
    for _ in range(2):
        capsys.readouterr()
        assert main(["test", "--promtool", str(program("promtool")), "--rules", "rules/prometheus"]) == 1
        said = capsys.readouterr().out
        assert "failed: default/api/ok rules: group slo-default-api-ok-fast: interval expected 1m, seen 5m" in said
        assert said.endswith(" proven, 0 not provable, 1 failed\n")


def test_explain_names_the_slos_there_are(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "shop"]) == 2
    assert "there are api/ok" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_explain_says_when_an_alert_fires(specs: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "api/ok", "--format", form]) == 0
    said = capsys.readouterr().out
    if form == "json":
        (slo,) = json.loads(said)
        assert slo["tiers"][0]["detections"][0]["page_seconds"] == "60"
    else:
        assert "p1-5m" in said
        assert "1.42%" in said


def test_a_rate_that_is_none_is_refused(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--traffic", "many"]) == 2
    assert "write 5/min" in capsys.readouterr().err


def test_an_expectation_that_is_not_met_fails(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    platform = "apiVersion: sloctl/v1\nkind: Platform\nname: bank\nexpect: {detect_within: 30s}\n"
    (specs / "slo-specs" / "platform.yaml").write_text(platform)
    assert main(["explain", "api/ok"]) == 1
    assert "a full outage is seen after 1m45s, expected within 30s" in capsys.readouterr().err


def test_too_many_false_alerts_fail_with_the_number_that_helps(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    platform = "apiVersion: sloctl/v1\nkind: Platform\nname: bank\nexpect: {false_pages: 5%}\n"
    (specs / "slo-specs" / "platform.yaml").write_text(platform)
    file = specs / "slo-specs" / "api.yaml"
    file.write_text(SPEC.replace("BURN", "5m, guard: none").replace("600/min", "60/min"))
    assert main(["explain"]) == 1
    said = capsys.readouterr().err
    assert "bank/api/ok: tier p1-5m fires falsely 0.080 times in 30 days, expected at most 0.05" in said
    assert said.endswith("; write `min_bad: 6`\n")
    file.write_text(file.read_text().replace("guard: none", "guard: none, min_bad: 6"))
    assert main(["explain"]) == 0


def test_diff_says_what_changes_for_the_person_on_call(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (specs / "new").mkdir()
    (specs / "new" / "api.yaml").write_text(SPEC.replace("BURN", "10m"))
    assert main(["diff", "slo-specs", "new"]) == 0
    said = capsys.readouterr().out
    assert "tier `p1-5m` **removed**" in said
    assert "tier `p1-10m` **added**: above 1.42% errors over 10m (pages after 1m at 100%" in said


def test_diff_tells_moments_before_and_after_conditions_and_lost_history(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    platform = "apiVersion: sloctl/v1\nkind: Platform\nname: bank\ninhibition: {}\n---\n"
    changed = SPEC.replace("burn: 14.2", "burn: 40, guard: none").replace("bad: failures_total", "bad: errors_total")
    for folder, inhibition, spec in (("old", "alertmanager", SPEC), ("new", "rule", changed + "    by: [tenant]\n")):
        (specs / folder).mkdir()
        (specs / folder / "api.yaml").write_text(platform.format(inhibition) + spec.replace("BURN", "1h"))
    assert main(["diff", "old", "new"]) == 0
    assert (
        capsys.readouterr().out
        == """\
### bank

- inhibition: alertmanager → rule

### bank/api/ok

- by: none → tenant
- tier `p1-1h`: above 1.42% errors over 1h → above 4% errors over 1h; \
pages after 1m → 3m at 100%, 2m → 5m at 50%, 9m → 25m at 10%, 18m → 49m at 5%
- tier `p1-1h`: guard: statistical → none
- **counts something else**: until a window has passed, budget and averages mix both
- sli.ratio.bad: failures_total → errors_total
- **its series lose their history**: labels or `by` change, so budget and averages begin anew
"""
    )


def test_diff_of_what_is_neither_folder_nor_revision_is_a_usage_error(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "slo-specs", "nonsense"]) == 2
    assert "neither a folder nor a git revision" in capsys.readouterr().err
