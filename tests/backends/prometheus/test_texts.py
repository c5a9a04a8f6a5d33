"""What alerts say: words of the specification and fixed templates, nothing else."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.backends.prometheus.conftest import write_rules

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


def test_a_page_says_what_is_promised_what_is_spent_how_long_the_rest_lasts_and_what_to_do(tmp_path: Path) -> None:
    consumed = '`slo:error_budget_consumed:ratio_increase30d{platform="shop", slo="cart-ok"}`'
    left = '`slo:time_to_exhaustion:seconds{platform="shop", slo="cart-ok"}`'
    assert annotations(tmp_path, "CartOkBudgetBurnP1Over1h") == {
        "summary": "cart-ok: {{ $value | humanizePercentage }} of events are bad over 1h, above 14.4x the error budget",
        "description": "cart promises 99.9% over 30d. "
        f"{{{{ with query {consumed} }}}}{{{{ . | first | value | humanizePercentage }}}}{{{{ else }}}}an unknown part"
        "{{ end }} of the error budget is spent; at the rate of the last hour the rest lasts "
        f"{{{{ with query {left} }}}}{{{{ . | first | value | humanizeDuration }}}}{{{{ else }}}}for ever"
        "{{ end }}. "
        "Users are affected now: follow the runbook and open an incident.",
        "runbook_url": "https://runbooks.example.com/cart/cart-ok",
        "dashboard_url": "https://grafana.example.com/d/slo-shop-detail?var-slo=cart-ok",
        "objective": "99.9%",
        "window": "30d",
        "burn": "above 14.4 over 1h",
        "budget_left": f"{{{{ with query {consumed.replace('`', '`1 - ', 1)} }}}}"
        "{{ . | first | value | humanizePercentage }}{{ else }}an unknown part{{ end }}",
    }


def test_a_split_alert_names_its_value_and_asks_for_its_own_budget(tmp_path: Path) -> None:
    found = annotations(tmp_path, "CartOkBudgetBurnP1Over1h", slo="by: [tenant]")
    assert found["summary"].startswith("cart-ok for tenant {{ $labels.tenant }}: ")
    assert 'slo="cart-ok", tenant=%q}` $labels.tenant' in found["description"]
    assert found["dashboard_url"].endswith("&var-tenant={{ $labels.tenant | urlquery }}")


def test_the_users_texts_replace_ours_and_their_placeholders_are_filled(tmp_path: Path) -> None:
    texts = "texts: {summary: '$service of $team burns $burn over $over: $value, cost 5$'}"
    found = annotations(tmp_path, "CartOkBudgetBurnP1Over6h", platform=texts, slo="annotations: {impact: $service}")
    assert found["summary"] == "cart of web burns 6 over 6h: {{ $value | humanizePercentage }}, cost 5$"
    assert found["impact"] == "cart"
