"""What alerts say: words of the specification and fixed templates, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.backends.prometheus.conftest import RuleTest, write_rules

SPEC = """
apiVersion: sloctl/v1
kind: Platform
name: shop
team: web
runbook: https://runbooks.example.com/$service/$slo
dashboards: {{base_url: 'https://grafana.example.com/'}}
teams: {{web: {{P1: {{pagerduty: web}}, P2: {{slack: '#web'}}, P3: {{email: web@example.com}}}}}}
{platform}
---
apiVersion: sloctl/v1
kind: Service
service: cart
slos:
  - name: ok
    objective: 99.9%
    sli: {{ratio: {{total: requests_total, bad: failures_total}}}}
    {slo}
"""


def annotations(folder: Path, alert: str, platform: str = "", slo: str = "") -> dict[str, str]:
    groups = yaml.safe_load(write_rules(SPEC.format(platform=platform, slo=slo), folder).read_text())["groups"]
    return next(rule["annotations"] for group in groups for rule in group["rules"] if rule.get("alert") == alert)


def test_a_page_leads_to_sloctls_own_page_where_the_platform_names_one(tmp_path: Path) -> None:
    spec = SPEC.replace("{{base_url: 'https://grafana.example.com/'}}", "{{sloctl: 'https://slo.example.com/'}}")
    groups = yaml.safe_load(write_rules(spec.format(platform="", slo=""), tmp_path).read_text())["groups"]
    links = {rule["annotations"].get("why_url") for group in groups for rule in group["rules"] if "alert" in rule}
    assert links == {"https://slo.example.com/why/cart/ok"}


def test_a_page_says_what_is_promised_what_is_spent_how_long_the_rest_lasts_and_what_to_do(tmp_path: Path) -> None:
    consumed = 'slo:error_budget_consumed:ratio_increase30d{platform="shop", slo="cart-ok"}'
    since = consumed.replace("error_budget_consumed:ratio_increase30d", "measured_since:timestamp_seconds")
    left = f"round(2592 * clamp_min(1 - max({consumed} or vector(0)), 0) / %g)"
    assert annotations(tmp_path, "CartOkBudgetBurnP1Over1h") == {
        "summary": "cart-ok: {{ $value | humanizePercentage }} of events are bad over 1h, above 14.4x the error budget",
        "description": "cart promises 99.9% over 30d. A few minutes ago "
        f"{{{{ with query `round(100 * {consumed}, 0.01)` }}}}{{{{ . | first | value }}}}%{{{{ else }}}}a part that is "
        "not yet counted{{ end }} of the error budget was spent; at the rate of the last 1h the rest is gone in "
        f"{{{{ with query (printf `{left}` $value) }}}}{{{{ . | first | value | humanizeDuration }}}}{{{{ else }}}}"
        "a time that is not yet counted{{ end }}. "
        f"{{{{ with query `time() - ({since} > time() - 2592000)` }}}}Only "
        "{{ . | first | value | humanizeDuration }} of 30d are measured, and what is not counts as clean. {{ end }}"
        "Users are affected now, so follow the runbook and open an incident. "
        "`sloctl why cart-ok` says where it burns.",
        "runbook_url": "https://runbooks.example.com/cart/cart-ok",
        "dashboard_url": "https://grafana.example.com/d/slo-shop-detail?var-slo=cart-ok",
        "objective": "99.9%",
        "window": "30d",
        "burn": "above 14.4 over 1h",
        "budget_left": f"{{{{ with query `round(100 - 100 * {consumed}, 0.01)` }}}}"
        "{{ . | first | value }}%{{ else }}a part that is not yet counted{{ end }}",
    }


OUTAGE = {
    'up{job="x", instance="a"}': "1x700",
    'requests_total{job="x", instance="a", tenant="t"}': "0+50x600",
    'failures_total{job="x", instance="a", tenant="t"}': "0x360 50+50x240",
}


@pytest.mark.server
@pytest.mark.parametrize("by", ["", "by: [tenant]"])
def test_the_first_page_of_a_full_outage_and_one_of_a_long_one_are_true(rule_test: RuleTest, by: str) -> None:
    fixed = '{platform="shop", service="cart", slo="cart-ok"' + (', tenant="t"}' if by else "}")
    spent = {
        f"slo:measured_since:timestamp_seconds{fixed}": "-31536000x50 _x700",
        f"slo:error_budget_consumed:ratio_increase30d{fixed}": "_x370 312.25x400",
    }
    text = SPEC.format(platform="texts: {description: '$budget_left left of it; gone in $time_to_exhaustion'}", slo=by)
    more = {"tenant": "t"} if by else {}
    common = {"runbook_url": "https://runbooks.example.com/cart/cart-ok", "objective": "99.9%", "window": "30d"}
    link = "https://grafana.example.com/d/slo-shop-detail?var-slo=cart-ok" + ("&var-tenant=t" if by else "")
    labels = {"burn_tier": "p1-1h", "platform": "shop", "service": "cart", "severity": "P1", "slo": "cart-ok"}
    whom = " for tenant t" if by else ""

    def page(bad: str, left: str, rest: str) -> list[dict[str, object]]:
        told = {
            "summary": f"cart-ok{whom}: {bad} of events are bad over 1h, above 14.4x the error budget",
            "description": f"{left} left of it; gone in {rest}",
            "budget_left": left,
            "burn": "above 14.4 over 1h",
            "dashboard_url": link,
        }
        return [{"exp_labels": labels | {"sloctl": "v1", "team": "web"} | more, "exp_annotations": common | told}]

    rule_test(
        text,
        OUTAGE | spent,
        only="fast",
        alerts=[
            ("182m", "CartOkBudgetBurnP1Over1h", page("2.5%", "a part that is not yet counted", "1d 4h 48m 0s")),
            ("250m", "CartOkBudgetBurnP1Over1h", page("100%", "-31125%", "0s")),
        ],
    )


def test_a_split_alert_names_its_value_and_asks_for_its_own_budget(tmp_path: Path) -> None:
    found = annotations(tmp_path, "CartOkBudgetBurnP1Over1h", slo="by: [tenant]")
    assert found["summary"].startswith("cart-ok for tenant {{ $labels.tenant }}: ")
    assert 'slo="cart-ok", tenant=%q}, 0.01)` $labels.tenant) }}' in found["description"]
    assert found["dashboard_url"].endswith("&var-tenant={{ $labels.tenant | urlquery }}")


def test_the_users_texts_replace_ours_and_their_placeholders_are_filled(tmp_path: Path) -> None:
    texts = "texts: {summary: '$service of $team burns $burn over $over: $value, cost 5$'}"
    found = annotations(tmp_path, "CartOkBudgetBurnP1Over6h", platform=texts, slo="annotations: {impact: $service}")
    assert found["summary"] == "cart of web burns 6 over 6h: {{ $value | humanizePercentage }}, cost 5$"
    assert found["impact"] == "cart"
