import sys
from contextlib import suppress
from pathlib import Path

import pytest

from testing.servers import ServerError, Target, running, until
from tests.conftest import Promtool, StartPrometheus

RULES = """
groups:
  - name: group
    interval: 1s
    rules:
      - {record: answer, expr: vector(42)}
      - {alert: Always, expr: vector(1), labels: {severity: P1}}
"""


def down(targets: list[Target]) -> bool:
    return any(target.health == "down" and "refused" in target.last_error for target in targets)


@pytest.mark.server
def test_prometheus_answers_queries_and_tells_its_rules_alerts_and_targets(
    prometheus: StartPrometheus, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    scrape = {"job_name": "nobody", "scrape_interval": "1s", "static_configs": [{"targets": ["127.0.0.1:1"]}]}
    server = prometheus({"scrape_configs": [scrape]}, rules=[rules])

    assert server.wait_for(lambda: server.value("answer"), "the recording is there") == 42
    firing = server.wait_for(lambda: server.alerts(severity="P1"), "the alert is there")
    assert [(alert.name, alert.state) for alert in firing] == [("Always", "firing")]
    assert server.alerts(severity="P2") == []
    assert [(rule.group, rule.name) for rule in server.rules()] == [("group", "answer"), ("group", "Always")]
    server.wait_for(lambda: down(server.targets()), "the target was found down")
    with pytest.raises(ServerError, match="unclosed left parenthesis"):
        server.query("sum(")
    with pytest.raises(ServerError, match="2 series"):
        server.value('{__name__=~"answer|ALERTS"}')


@pytest.mark.server
def test_a_prometheus_that_cannot_start_says_why(prometheus: StartPrometheus) -> None:
    with pytest.raises(ServerError, match="field bogus not found"):
        prometheus({"bogus": 1})


def test_promtool_refuses_a_wrong_rule_file(promtool: Promtool, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.replace("vector(42)", "sum("))
    checked = promtool("check", "rules", rules)
    assert checked.returncode == 1
    assert "unclosed left parenthesis" in checked.stdout


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be reaped does not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def interrupt_beside_a_child(log: Path) -> tuple[int, int]:
    """Start a program with a child, interrupt the block, and return both process ids."""
    start_child = (
        "import subprocess\n"
        "child = subprocess.Popen(['sh', '-c', 'trap : TERM; echo $$; while :; do sleep 1; done'])\n"
        "child.wait()\n"
    )
    with suppress(KeyboardInterrupt), running("parent", [sys.executable, "-c", start_child], log) as program:
        child = program.wait_for(lambda: int(log.read_text() or 0), "the child is there")
        assert alive(child)
        raise KeyboardInterrupt
    return program.process.pid, child


def test_an_interrupt_ends_the_program_and_its_children_even_deaf_ones(tmp_path: Path) -> None:
    parent, child = interrupt_beside_a_child(tmp_path / "log")
    until(lambda: not alive(child))
    assert not alive(parent)


def test_waiting_in_vain_shows_what_was_awaited_and_the_log(tmp_path: Path) -> None:
    speak = "import time; print('starting the engine', flush=True); time.sleep(60)"
    with running("engine", [sys.executable, "-c", speak], tmp_path / "log") as program:
        program.wait_for((tmp_path / "log").read_text, "it speaks")
        with pytest.raises(ServerError, match=r"did not get there in 0\.1 s: it flies(.|\n)*starting the engine"):
            program.wait_for(lambda: None, "it flies", within=0.1)
