"""What notifications say, as templates of Alertmanager's over the alerts' own annotations.

People who do not code edit the annotations through `texts` in the Platform; these templates only arrange them.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = "{{ $a := index .Alerts 0 }}{{ with .Alerts.Firing }}{{ $a = index . 0 }}{{ end }}"
"""The first alert that still fires, or of those that are resolved: tiers of one SLO share a notification."""
_KNOWN: Final = " ".join(
    f'"{name}"'
    for name in (
        "summary",
        "description",
        "runbook_url",
        "dashboard_url",
        "logs_url",
        "why_url",
        "objective",
        "window",
        "budget_left",
        "burn",
    )
)
_NOTES: Final = f"{{{{ range ($a.Annotations.Remove (stringSlice {_KNOWN})).SortedPairs }}}}%s{{{{ end }}}}"
_SPLIT: Final = (
    '{{ range (.GroupLabels.Remove (stringSlice "platform" "slo" "severity")).SortedPairs }}'
    "{{ .Name }} {{ .Value }} {{ end }}"
)
_STATUS: Final = '{{ if eq .Status "resolved" }}resolved{{ else }}{{ .CommonLabels.severity }}{{ end }}'

_PAST: Final = (("are", "were"), ("is", "was"), ("has", "had"))


def _told(summary: str) -> str:
    """A summary, of a resolved alert in the past tense of our own words."""
    past = summary
    for now, then in _PAST:
        past = f'(reReplaceAll " {now} " " {then} " {past})'
    return f'{{{{ if eq $a.Status "resolved" }}}}{{{{ {past} }}}}{{{{ else }}}}{{{{ {summary} }}}}{{{{ end }}}}'


SUMMARY: Final = f"{_FIRST}{_told('$a.Annotations.summary')}"
TITLE: Final = f"[{_STATUS}] {{{{ or .CommonLabels.slo .CommonLabels.platform }}}}"
_REST: Final = '{{ $rest := reReplaceAll (printf "^%s" .CommonLabels.slo) "" $a.Annotations.summary }}'
HEADLINE: Final = f"{TITLE}{_FIRST}{_REST}{{{{ if eq $rest $a.Annotations.summary }}}}: {{{{ end }}}}{_told('$rest')}"
"""Our summaries begin with the SLO's name, which the title has already."""
SUBJECT: Final = (
    '[{{ if eq .Status "resolved" }}resolved{{ else }}{{ printf "%.15s" .CommonLabels.severity }}{{ end }}] '
    '{{ printf "%.80s" .CommonLabels.slo }}'
)
"""SNS refuses subjects over 100 characters."""
NAME: Final = f"{_FIRST}{{{{ $a.Labels.alertname }}}}"
COMPONENT: Final = "{{ .CommonLabels.service }}"
GROUP: Final = "{{ .CommonLabels.platform }}"
CHAT: Final = (
    f"{{{{ range .Alerts }}}}{{{{ $a := . }}}}*{_told('.Annotations.summary')}*"
    f'{{{{ if eq .Status "resolved" }}}} (resolved)\n{{{{ else }}}}\n{{{{ .Annotations.description }}}}\n{{{{ end }}}}'
    + _NOTES.replace("%s", "{{ .Value }}\n")
    + "{{ end }}"
)
PLAIN: Final = (
    f"{{{{ range .Alerts }}}}{{{{ $a := . }}}}{_told('.Annotations.summary')}"
    f'{{{{ if eq .Status "resolved" }}}} (resolved)\n{{{{ else }}}}\n{{{{ .Annotations.description }}}}\n{{{{ end }}}}'
    + _NOTES.replace("%s", "{{ .Value }}\n")
    + "\n"
    "{{ with .Annotations.runbook_url }}Runbook: {{ . }}\n{{ end }}"
    "{{ with .Annotations.dashboard_url }}Dashboard: {{ . }}\n{{ end }}"
    "{{ with .Annotations.logs_url }}Logs: {{ . }}\n{{ end }}"
    "{{ with .Annotations.why_url }}Where it burns: {{ . }}\n{{ end }}\n{{ end }}"
)
SHORT: Final = f"{HEADLINE} {{{{ $a.Annotations.runbook_url }}}}"

DETAILS: Final = {
    "platform": GROUP,
    "service": COMPONENT,
    "team": "{{ .CommonLabels.team }}",
    "slo": "{{ .CommonLabels.slo }}",
    "severity": "{{ .CommonLabels.severity }}",
    "tiers": "{{ range .Alerts.Firing }}{{ .Labels.burn_tier }} {{ end }}",
    "split": _SPLIT,
    "objective": f"{_FIRST}{{{{ $a.Annotations.objective }}}}",
    "window": f"{_FIRST}{{{{ $a.Annotations.window }}}}",
    "burn": f"{_FIRST}{{{{ $a.Annotations.burn }}}}",
    "budget_left": f"{_FIRST}{{{{ $a.Annotations.budget_left }}}}",
    "description": f"{_FIRST}{{{{ reReplaceAll `: ` ` - ` $a.Annotations.description }}}}",
    "notes": _FIRST + _NOTES.replace("%s", "{{ reReplaceAll `: ` ` - ` .Value }} "),
    **dict.fromkeys(("firing", "resolved", "num_firing", "num_resolved"), ""),
}
"""Own details instead of the whole JSON, which may exceed PagerDuty's 512 kB; flat texts, as 0.25 demands.

From 0.30 on Alertmanager reads each of them as YAML, in which `: ` would make a mapping of a sentence.
"""


def link(annotation: str) -> str:
    """A link of the alert's; where it has none, Alertmanager's own page, because an empty link is refused."""
    found = f"$a.Annotations.{annotation}"
    return f"{_FIRST}{{{{ if {found} }}}}{{{{ {found} }}}}{{{{ else }}}}{{{{ .ExternalURL }}}}{{{{ end }}}}"
