"""What a first Platform knows from the targets of a Prometheus."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.demo.checkout import checkout_service, scrape_config
from sloctl.cli import main
from sloctl.errors import OutsideError
from sloctl.live.surroundings import look_around
from sloctl.prometheus import Series
from tests.conftest import StartPrometheus


class Scraped:
    """A Prometheus with these targets."""

    url = "http://prometheus:9090"

    def __init__(self, *targets: Series) -> None:
        self.targets = targets

    def samples(self, selector: str, length: str, at: float) -> tuple[Series, ...]:
        assert (selector, length) == ("up", "5m")
        assert at > 0
        return self.targets


def target(every: float, count: int = 20, **labels: str) -> Series:
    return Series(labels, tuple(100 + every * number for number in range(count)), (1.0,) * count)


@pytest.mark.parametrize(
    ("every", "interval"), [(15.001, "15s"), (14.8, "15s"), (30, "30s"), (60, "1m"), (1, "1s"), (117, "2m")]
)
def test_the_usual_interval_that_is_nearest_is_meant(every: float, interval: str) -> None:
    assert str(look_around(Scraped(target(every))).scrape_interval) == interval  # type: ignore[arg-type]


def test_most_targets_decide_and_a_pause_does_not() -> None:
    paused = Series({}, (0, 15, 30, 290, 305), (1.0,) * 5)
    found = look_around(Scraped(paused, target(15, 3), target(60, 4)))  # type: ignore[arg-type]
    assert str(found.scrape_interval) == "15s"
    assert found.targets == 3


def test_labels_of_a_place_are_named_where_every_target_has_them() -> None:
    here, there = target(15, cluster="a", region="x"), target(15, cluster="b")
    assert look_around(Scraped(here, there)).target_labels == ("cluster", "job", "instance")  # type: ignore[arg-type]


@pytest.mark.parametrize("targets", [(), (target(15, 1),)], ids=["none", "scraped once"])
def test_without_scrapes_nothing_is_guessed(targets: tuple[Series, ...]) -> None:
    with pytest.raises(OutsideError, match="http://prometheus:9090 scrapes nothing yet"):
        look_around(Scraped(*targets))  # type: ignore[arg-type]


@pytest.mark.server
def test_init_writes_what_a_real_prometheus_does(
    prometheus: StartPrometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with checkout_service(tmp_path) as service:
        server = prometheus(scrape_config(service), [])
        server.wait_for(lambda: (server.value("count_over_time(up[1m])") or 0) > 3, "scrapes")
        assert main(["init", "--prometheus", server.url]) == 0
    capsys.readouterr()
    platform = Path("slo-specs/platform.yaml").read_text()
    assert f"scrape_interval: 1s                           # as {server.url} scrapes 1 target" in platform
    assert "target_labels: [job, instance]                # these tell them apart" in platform
    assert main(["validate", "--strict"]) == 0


@pytest.mark.server
def test_the_server_may_be_named_by_the_environment_and_without_a_scheme(
    prometheus: StartPrometheus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = prometheus({})
    monkeypatch.setenv("SLOCTL_PROMETHEUS", server.url.removeprefix("http://"))
    assert main(["status"]) == 3
    assert f"{server.url} has no rules of sloctl" in capsys.readouterr().err
