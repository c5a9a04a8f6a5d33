"""Sequential tests of counts, valid at every look. Pure functions of numpy arrays.

Every test is an e-process: a number that starts at 1 and, while the hypothesis is true, exceeds 1/alpha at any
time with a chance of at most alpha (Ville 1939; Ramdas, Gruenwald, Vovk & Shafer, Statistical Science 2023,
arXiv 2210.01948). So looking every few seconds costs nothing. Evidence is kept as its natural logarithm.

Arrays hold one number per scrape interval along the last axis; leading axes (endpoints, bounds, replications) are
independent of each other.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

WORSE: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0)
"""By how much a bad canary may exceed the baseline: evidence is averaged over these."""
OVER: Final = (1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 60.0)
"""By how much a bad canary may exceed an absolute limit."""
UNDER: Final = (0.02, 0.1, 0.2, 0.4, 0.6)
"""How far below a limit a healthy canary may lie."""
PRIOR_BLOCKS: Final = 10
"""How many blocks of history it takes to believe them as much as that arms are Poisson."""
FROM_THE_START: Final = 0.75
"""Weight of the evidence since the first interval, in the average over beginnings."""
HALF_SECONDS: Final = 600.0
BLOCKS_TOGETHER: Final = (2, 4, 10)
"""So many blocks of history are taken as one to see bursts that are longer than a block."""
WILSON_99: Final = 2.576
"""Standard deviations on either side that hold 99 % of a normal distribution."""
_TINY: Final = 1e-300
_LARGEST: Final = 700.0
"""exp of more is no finite number."""


def relative_evidence(
    x_c: Floats, n_c: Floats, x_b: Floats, n_b: Floats, margin: float = 1.0, ratios: tuple[float, ...] = WORSE
) -> Floats:
    """Evidence that the canary's error ratio is not `margin` times the baseline's, after each interval.

    With `ratios` above 1 it is evidence of harm, below 1 of health. Given the errors of both arms together, the
    canary's share of them is binomial whatever the intensity common to both: an incident that hits both cancels.
    Lindon & Malek, NeurIPS 2022, arXiv 2011.03567; Lindon & Kallus, arXiv 2410.09282.

    Args:
        x_c: errors of the canary in each interval.
        n_c: its requests.
        x_b: errors of the baseline.
        n_b: its requests.
        margin: ratio of the error ratios that is still good.
        ratios: alternatives, as multiples of the margin.

    Returns:
        The natural logarithm of the evidence, an array for each of `ratios` in front; see `mixed`.
    """
    expected = margin * n_c
    log_common = np.log(np.maximum(expected + n_b, _TINY))
    steps = [
        x_c * math.log(t) + (x_c + x_b) * (log_common - np.log(np.maximum(t * expected + n_b, _TINY))) for t in ratios
    ]
    return np.stack(steps)


def absolute_evidence(x: Floats, n: Floats, limit: float, multiples: tuple[float, ...]) -> Floats:
    """Evidence that an error ratio is not `limit`: likelihood ratios against multiples of it, interval by interval.

    Wald 1945; with a mixture over alternatives Robbins 1970. Returned as by `relative_evidence`.
    """
    rates = [limit * multiple for multiple in multiples if limit * multiple < 1] or [(1 + limit) / 2]
    steps = [x * math.log(p / limit) + (n - x) * (math.log1p(-p) - math.log1p(-limit)) for p in rates]
    return np.stack(steps)


def mixed(steps: Floats, phi: Floats | float = 1.0) -> Floats:
    """The mean over alternatives (first axis) of the evidence accumulated along the last axis, as a logarithm.

    Args:
        steps: logarithms of likelihood ratios of each interval.
        phi: dispersion of the counts, 1 for Poisson arms; it divides the logarithms (quasi-likelihood, McCullagh &
            Nelder 1989, chapter 9). One number, or one per interval.
    """
    return _mean(np.cumsum(steps / phi, axis=-1))


def mixed_over_starts(steps: Floats, phi: Floats | float, grid_seconds: float) -> Floats:
    """`mixed`, averaged as well over the intervals with which counting may begin.

    What was broken late is found although it was healthy before. Evidence that begins later is 1 until then, so the
    average is an e-process like its parts (Shin, Ramdas & Rinaldo, *E-detectors*, New England Journal of Statistics in
    Data Science 2023, arXiv 2203.03532). Half of the weight of later beginnings falls on the first `HALF_SECONDS`.
    """
    paths = np.cumsum(steps / phi, axis=-1)
    seconds = grid_seconds * np.arange(paths.shape[-1])
    begun = FROM_THE_START + (1 - FROM_THE_START) * seconds / (seconds + HALF_SECONDS)
    weights = np.diff(begun, prepend=0.0)
    before = np.concatenate([np.zeros_like(paths[..., :1]), paths[..., :-1]], axis=-1)
    later = np.logaddexp.accumulate(np.log(weights) - before, axis=-1)
    return _mean(np.logaddexp(paths + later, np.log1p(-begun)))


def _mean(logarithms: Floats) -> Floats:
    """The logarithm of the mean over the first axis."""
    highest = logarithms.max(axis=0)
    mean: Floats = highest + np.log(np.exp(logarithms - highest).mean(axis=0))
    return mean


def e_value(logarithm: float | None) -> float | None:
    """Evidence as a finite number, from its logarithm; None for none."""
    return None if logarithm is None else math.exp(min(logarithm, _LARGEST))


def dispersion(x_a: Floats, n_a: Floats, x_b: Floats, n_b: Floats) -> float:
    """How much more two halves of the same version differ than Poisson arms would: at least 1.

    The mean of Pearson's X^2 over blocks (last axis) that have errors, with blocks of Poisson arms among them, so that
    few blocks say little. Bursts longer than a block add up over several, so the largest of `BLOCKS_TOGETHER` counts,
    less what chance adds to the mean of so few.
    """
    found = [1.0, _dispersion(x_a, n_a, x_b, n_b)]
    for width in BLOCKS_TOGETHER:
        if few := len(x_a) // width:
            together = [each[: few * width].reshape(few, width).sum(axis=1) for each in (x_a, n_a, x_b, n_b)]
            found.append(_dispersion(*together) / (1 + math.sqrt(2 / few)))
    return max(found)


def _dispersion(x_a: Floats, n_a: Floats, x_b: Floats, n_b: Floats) -> float:
    share = n_a / np.maximum(n_a + n_b, _TINY)
    errors = x_a + x_b
    variance = errors * share * (1 - share)
    known = variance > 0
    squares = (x_a[known] - errors[known] * share[known]) ** 2 / variance[known]
    return float((squares.sum() + PRIOR_BLOCKS) / (known.sum() + PRIOR_BLOCKS))


def divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence between two error ratios, in nats per request.

    ln(1/alpha) divided by it is the least number of requests any test needs on average (Wald 1945).
    """
    left = p * math.log(p / q) if p > 0 else 0.0
    return left + (1 - p) * (math.log1p(-p) - math.log1p(-q))


def wilson(x: float, n: float, z: float = WILSON_99) -> tuple[float, float]:
    """Score interval of an error ratio (Wilson 1927), 99 % by default; (0, 1) without requests."""
    if n <= 0:
        return 0.0, 1.0
    p, spread = x / n, z * z / n
    centre = (p + spread / 2) / (1 + spread)
    half = z * math.sqrt(max(0.0, p * (1 - p) / n + spread / (4 * n))) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def difference_interval(
    x_c: Floats, n_c: Floats, x_b: Floats, n_b: Floats, *, phi: float, scale: float, alpha: float = 0.01
) -> tuple[Floats, Floats, Floats]:
    """The difference of two error ratios, with an interval that holds at all looks together.

    A normal mixture over differences of about `scale` (Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon, Annals of
    Statistics 2021, arXiv 1810.08240), asymptotic in the requests. Few errors say little of how much they vary, so both
    versions are taken to vary as the worse of them, and a good and a bad request are added to each.

    Args:
        x_c: errors of the canary so far; `n_c` its requests, `x_b` and `n_b` those of the baseline.
        phi: dispersion of the counts.

    Returns:
        The difference, the lowest and the highest that it may be; NaN while one of them has no requests.
    """
    n_c, n_b = (np.where(n > 0, n, np.nan) for n in (n_c, n_b))
    worse = np.maximum((x_c + 1) / (n_c + 2), (x_b + 1) / (n_b + 2))
    variance = phi * worse * (1 - worse) * (1 / n_c + 1 / n_b)
    mixture = scale**2
    whole = variance + mixture
    half = np.sqrt(variance * whole / mixture * (np.log(whole / variance) + 2 * math.log(1 / alpha)))
    difference = x_c / n_c - x_b / n_b
    return difference, difference - half, difference + half


def quantile(q: float, bounds: Floats, at_most: Floats) -> Floats:
    """Quantile of a histogram by linear interpolation within its bucket, as Prometheus' `histogram_quantile`.

    Args:
        q: between 0 and 1.
        bounds: upper bounds of the buckets in rising order, the last one +Inf.
        at_most: observations at or below each bound, along the last axis.

    Returns:
        The quantile, NaN without observations; the largest finite bound where it lies above that.
    """
    total = at_most[..., -1:]
    index = np.argmax(at_most >= q * total, axis=-1)[..., None]
    below = np.maximum(index - 1, 0)
    low = np.where(index > 0, bounds[below], 0.0)
    start = np.where(index > 0, np.take_along_axis(at_most, below, -1), 0.0)
    inside = np.take_along_axis(at_most, index, -1) - start
    high = np.where(np.isfinite(bounds[index]), bounds[index], low)
    part = (q * total - start) / np.where(inside > 0, inside, 1.0)
    found: Floats = np.where(total > 0, low + (high - low) * np.clip(part, 0, 1), np.nan)[..., 0]
    return found
