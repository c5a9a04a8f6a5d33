"""Series that make a condition of `exclude_when` hold."""

from __future__ import annotations

from collections.abc import Set

from sloctl.model.catalogue import Slo
from sloctl.model.selector import Expression
from sloctl.promql.comparisons import comparison
from sloctl.proof.examples import NotDerivableError, selected
from sloctl.proof.recorded import split_of
from sloctl.proof.series import Raw, series_text


def excluding(slo: Slo, condition: Expression, read: Set[str]) -> Raw | None:
    """One sample of each series with which the condition holds, for all split values; None where none is known.

    Args:
        read: metrics that the SLI reads itself; series of these cannot be made up beside its own.
    """
    found = comparison(condition)
    if found is None or found.selector.metric in read:
        return None
    try:
        labels = selected(found.selector)
    except NotDerivableError:
        return None
    grouped = [label for label in slo.by if label in (condition.grouping or ())]
    splits = [split_of(slo, value) for value in ("ill", "calm")] if grouped else [{}]
    return {
        series_text(found.selector.metric, labels | {label: split[label] for label in grouped}): [found.holds_at]
        for split in splits
    }
