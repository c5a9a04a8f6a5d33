"""What looks like a secret is found wherever it stands, and never printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.checks.secret import CODE, masked, secrets
from sloctl.cli import main
from tests.checks.specifications import findings, slo, specification

# Built from pieces, so that no scanner takes this file for a leak.
SECRETS = {
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + "a1B2" * 9,
    "github fine-grained": "github_pat_" + "a1B2" * 6,
    "gitlab": "glpat-" + "a1B2" * 5,
    "slack": "xoxb-" + "123456789012-abcdef",
    "stripe": "sk_live_" + "a1B2" * 5,
    "google": "AIza" + "a1B2-" * 7,
    "grafana": "glsa_" + "a1B2" * 8,
    "jwt": "eyJhbGciOiJIUzI1" + ".eyJzdWIiOiIx" + "MjM0NTY3ODkw.abc",
    "key": "-----BEGIN RSA PRIVATE KEY-----" + "MIIE",
    "bearer": "Bearer " + "a1B2" * 8,
    "slack webhook": "https://hooks.slack.com/services/" + "T00/B00/abcdefgh",
    "discord webhook": "https://discord.com/api/webhooks/" + "123456789/abcdefghijklmn",
    "teams webhook": "https://shop.webhook.office.com/webhookb2/" + "a1b2" * 6,
    "pagerduty link": "https://events.pagerduty.com/integration/" + "a1b2c3d4" * 4 + "/enqueue",
    "pagerduty key": "pagerduty: " + "a1b2c3d4" * 4,
    "password": "https://bot:" + "hunter22@wiki.example.com",
    "token": "https://a.example/in?x=1&token=" + "correct-horse",
}
HARMLESS = [
    "https://runbooks.example.com/$service/$slo?token=$token",
    "https://wiki.example.com/secret/key/password",
    "https://docs.example.com/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit?usp=sharing#key",
    'auth_token_total{token="refresh", code=~"5.."}',
    "pagerduty: payments",
    "pagerduty: the-team-that-answers-at-night-1",
    "the bearer of this pager; basic availability",
    "arn:aws:sns:eu-west-1:123456789012:on-call",
    "a:b@c and user@example.com",
]


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_in_a_comment_as_well_and_is_not_printed(
    kind: str, capsys: pytest.CaptureFixture[str], tmp_path: pytest.TempPathFactory
) -> None:
    path = tmp_path / "a.yaml"  # type: ignore[operator]
    path.write_text(specification(slo()) + f"# see {SECRETS[kind]}\n")
    for form in ("text", "json", "github"):
        assert main(["validate", str(path), "--format", form]) == 1
        printed = "".join(capsys.readouterr())
        assert CODE in printed
        ((_, start, end), *_) = secrets(SECRETS[kind])
        assert SECRETS[kind][start:end] not in printed


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert findings(specification(slo()) + f"# {text}\n", CODE) == []


def test_it_is_found_even_where_nothing_else_is_valid(capsys: pytest.CaptureFixture[str], tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.yaml"
    path.write_text(f"kind: Servic\nwebhook: '{SECRETS['slack webhook']}'\n")
    assert main(["validate", str(path)]) == 1
    err = capsys.readouterr().err
    assert "SLO014" in err
    assert CODE in err
    assert "abcdefgh" not in err


@pytest.mark.property
@given(st.text(), st.sampled_from(sorted(SECRETS)), st.text())
def test_masking_keeps_the_length_and_is_done_once(before: str, kind: str, after: str) -> None:
    text = f"{before} {SECRETS[kind]} {after}"
    assert len(masked(text)) == len(text)
    assert masked(text) != text
