"""The findings about files and documents, one page each: what `sloctl explain CODE` prints.

A code keeps its meaning for ever; SLO001 to SLO049 belong to the reader and the document layer.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Page(NamedTuple):
    """What a code means, what to do, and how it looks when it is right."""

    title: str
    text: str
    example: str = ""


PAGES: Final[dict[str, Page]] = {
    "SLO001": Page(
        "The file cannot be read",
        "It is missing, not permitted, or no regular file. Folders are read by naming them to the "
        "command; pipes and devices are refused because reading them can block. Use `-` for standard "
        "input. A link may lead to anything in the repository (or below `--root`), and nowhere else: a "
        "proposed change must not show other files of the machine that checks it.",
    ),
    "SLO002": Page(
        "The file is too large",
        "A file has at most 1 MiB and 100 000 values, so that no file can exhaust the memory of a CI "
        "runner. Split it: all files of a folder are read together.",
    ),
    "SLO003": Page(
        "The file is not UTF-8",
        "Specifications are UTF-8. Save the file with that encoding.",
    ),
    "SLO004": Page(
        "An invisible character",
        "Control characters, line separators other than a line feed, and marks that change the "
        "direction of text are refused, both as they are and as escapes in double quotes: what a "
        "reviewer sees must be what is read. Remove the character.",
    ),
    "SLO005": Page(
        "The YAML is broken",
        "The text cannot be read as YAML from this place on. Most often a text needs quotes: a selector"
        " inside `[...]` or `{...}`, one that begins with `{`, one that contains `: ` or ` #`, and "
        "channel names that begin with `#`. Otherwise check indentation and brackets.",
        "sli: {ratio: {total: 'requests_total{job=\"checkout\"}', bad_if: 'code=~\"5..\"'}}",
    ),
    "SLO006": Page(
        "Nested too deep",
        "Lists and mappings are nested at most 32 deep; a specification needs about ten.",
    ),
    "SLO007": Page(
        "A text is too long",
        "One text has at most 16 kB.",
    ),
    "SLO008": Page(
        "Anchors, aliases and merge keys are not read",
        "They hide what a value is and can expand without bound. Write the value out, or use a Template"
        " or the inheritance from Platform and Service. A text that begins with `&` or `*` needs "
        "quotes.",
    ),
    "SLO009": Page(
        "Tags and directives are not read",
        "Tags such as `!!int` and lines such as `%YAML 1.1` would change what values mean. Remove them;"
        " a text that begins with `!` needs quotes.",
    ),
    "SLO010": Page(
        "A key is written twice",
        "YAML readers differ in which of the two they take, so neither is taken. Keep one.",
    ),
    "SLO011": Page(
        "A key is not text",
        "Numbers, true, false, null, lists and mappings cannot be keys. Put the key in quotes.",
    ),
    "SLO012": Page(
        "A number is too long",
        "Numbers have at most 40 characters and an exponent of 12. Put it in quotes if it is text.",
    ),
    "SLO013": Page(
        "The file holds no document",
        "It is empty or holds comments only. Nothing is read from it; remove it if that is meant.",
    ),
    "SLO014": Page(
        "Not a known kind of document",
        "A document is a mapping with `apiVersion: sloctl/v1` and a `kind`: `Platform`, `Service` or `Template`.",
    ),
    "SLO015": Page(
        "Another language or version",
        "sloctl reads `apiVersion: sloctl/v1`. Documents of other tools must be converted first.",
    ),
    "SLO016": Page(
        "An unknown key",
        "Unknown keys are errors because a misspelt key would otherwise be ignored in silence, and an "
        "alert with it. The nearest known key is shown.",
    ),
    "SLO017": Page(
        "A key is missing",
        "This key has no default. Add it.",
    ),
    "SLO018": Page(
        "A key has no value",
        "A key without value is an error rather than a default. Leave the key out to inherit. A `#` "
        "after a space begins a comment: channel names such as '#alerts' need quotes.",
        "slack: '#alerts'",
    ),
    "SLO019": Page(
        "Another shape of value is needed",
        "A mapping is written as `key: value` lines below its key or as `{key: value}`; a list as `- ` "
        "lines or as `[first, second]`.",
    ),
    "SLO020": Page(
        "A word that is not known here",
        "Only the listed words have a meaning at this key.",
    ),
    "SLO021": Page(
        "Not a name",
        "Names of services, SLOs, teams, policies and templates have at most 63 of `a-z`, `0-9` and "
        "`-`, and begin and end with a letter or digit, so that they can stand in labels, files and "
        "links. Labels, metrics, parameters, channels, addresses, zones and currencies have patterns of"
        " their own.",
    ),
    "SLO022": Page(
        "Not a percentage",
        "Percentages are written with their sign: `99.95%`. A plain `0.9995` is refused, because `0.5` "
        "could mean half or half a percent.",
        "objective: 99.95%",
    ),
    "SLO023": Page(
        "Not a duration",
        "Durations are written with units, largest first: `30s`, `5m`, `1h30m`, `30d`, `12w`; a decimal"
        " has a single unit, such as `2.5s`. A day has 24 hours.",
        "window: 30d",
    ),
    "SLO024": Page(
        "Not a rate",
        "Rates are a number, an optional K, M or G (powers of 1000), and a time: `800K/min`, `8K/s`, `6/h`.",
        "traffic: 800K/min",
    ),
    "SLO025": Page(
        "Not a number",
        "Numbers are decimal and written without quotes: `14.2`.",
    ),
    "SLO026": Page(
        "Not the text that is needed",
        "Text is needed where YAML reads a number, true, false, a list or a mapping; or the text is "
        "empty or too long. Put it in quotes.",
    ),
    "SLO027": Page(
        "Not an https link",
        "Links begin with `https://` and hold neither a user name nor a password: they appear in alerts"
        " and dashboards.",
    ),
    "SLO028": Page(
        "PromQL outside the limits",
        "Selectors and expressions have at most 2 kB, brackets nested 16 deep and 100 operators; longer"
        " ones can kill the parser. Queries of a `query` SLI contain `$window`. Put large expressions "
        "in recording rules.",
    ),
    "SLO029": Page(
        "A template action in a text",
        "`{{` would be run by Prometheus, Alertmanager or Grafana. Use placeholders such as `$service`. Selectors may "
        "not hold it either, because alerts on a vanished metric name the selector; and no `{` stands directly before "
        "a placeholder, whose own braces it would join.",
    ),
    "SLO030": Page(
        "A reserved label",
        "sloctl sets this label itself on series or alerts; routes and dashboards join on it.",
    ),
    "SLO031": Page(
        "Not exactly one SLI kind",
        "`sli` holds exactly one of ratio, latency, query, probe, freshness, throughput, saturation and threshold.",
        "sli: {latency: {histogram: http_request_duration_seconds, at_most: 250ms}}",
    ),
    "SLO032": Page(
        "The SLI's parts do not belong together",
        "A ratio has `total` with `bad_if`, `bad` or `good`, or `bad` with `good`. A query has `total` "
        "with `bad` or `good`, or `bad_ratio` alone. Freshness has `timestamp` or `age`.",
        'ratio:\n  total: requests_total\n  bad_if: code=~"5.."',
    ),
    "SLO033": Page(
        "Bounds that are missing or crossed",
        "Throughput and threshold have `at_least`, `at_most`, or both with the first below the second. "
        "Bucket bounds rise.",
    ),
    "SLO034": Page(
        "The tier's parts do not belong together",
        "A tier has exactly one of `burn`, `error_rate` and `budget_left`. The first two need `over` "
        "and may have a shorter `also_over`; `budget_left` looks at the whole window and has neither.",
        "alerts: [{severity: P1, burn: 14.4, over: 1h, also_over: 5m}]",
    ),
    "SLO035": Page(
        "A policy's name with a meaning of its own",
        "`google` is built in and `none` means no alerts at all; neither can be redefined, and `none` "
        "cannot stand in a list.",
    ),
    "SLO036": Page(
        "A route or office hours that cannot work",
        "A route names at least one of pagerduty, slack, email, sns and webhook. P1 needs pagerduty or "
        "sns, because a chat message wakes nobody. Office hours end after they begin.",
        "teams:\n  shop:\n    P1: {pagerduty: shop, slack: '#shop-pages'}\n    P3: {email: shop@example.com}",
    ),
    "SLO037": Page(
        "Canary steps that cannot work",
        "Weights rise from step to step and end with 100%. Each step but the last has a `hold`, and a "
        "`deadline` is not before it.",
    ),
    "SLO038": Page(
        "The canary check's parts do not belong together",
        "A check judges an SLO by `error_rate`, `worse_by` or both, or judges `mismatches` of what was `compared`.",
    ),
    "SLO039": Page(
        "A name is written twice",
        "Names of a list must differ. Both places are shown.",
    ),
    "SLO040": Page(
        "An objective without error budget",
        "At 100% nothing may ever fail, so that every alert fires at once; at 0% none ever does.",
    ),
    "SLO041": Page(
        "Nothing is promised",
        "A Service has `slos` or `uses`; a Template has `slos` or a `canary`.",
    ),
    "SLO042": Page(
        "An unknown parameter",
        "The template declares its parameters; this name is not one of them.",
    ),
    "SLO043": Page(
        "A parameter that is not used",
        "It would be set without effect. Use it, or remove it.",
    ),
    "SLO044": Page(
        "A parameter without value",
        "The template gives it no default, so that each use must name its value.",
    ),
    "SLO045": Page(
        "A parameter that cannot stand here",
        "A parameter stands for a whole value, or stands inside a quoted label value of a selector, "
        "where it is escaped. Only text and numbers can stand inside a label value.",
        "objective: $objective\nsli: {ratio: {total: 'requests_total{job=\"$job\"}', bad_if: 'code=~\"5..\"'}}",
    ),
    "SLO046": Page(
        "A value out of range",
        "The value is of the right type but can have no use here; the message says what can.",
    ),
    "SLO047": Page(
        "Nothing was found",
        "A path stands for no file, a folder holds no specification, or all files together promise nothing. A run "
        "that compiled nothing would look like success and remove every alert, so it is an error. Folders are read "
        "whole, files that end in `.yaml` or `.yml`; names that begin with a dot are skipped.",
    ),
    "SLO048": Page(
        "An unknown placeholder in a link",
        "A runbook knows `$service` and `$slo`; nothing else is replaced in a link.",
    ),
    "SLO049": Page(
        "Many problems in one document",
        "The first hundred findings of a document are shown. Repair those first.",
    ),
}
