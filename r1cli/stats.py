"""The numbers of an evaluation: avg@n, pass@k, 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


class Interval(NamedTuple):
    low: float
    high: float


def avg_at_n(scores: Sequence[Sequence[float]]) -> float:
    """Mean over problems of the mean over samples; `scores[p][s]` is sample s of problem p."""
    return fmean(fmean(samples) for samples in scores)


def pass_at_k(correct: int, n: int, k: int) -> float:
    """Unbiased estimate from n samples of which `correct` are right (arXiv:2107.03374, eq. 1)."""
    if not 0 <= correct <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} of {correct} right in {n} samples is not defined")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def interval(scores: Sequence[Sequence[float]]) -> Interval:
    """95 % interval of avg@n, clustered by problem.

    Samples of one problem are not independent, so the problem is the unit: for one 0/1 sample each
    the Wilson score interval, else the normal interval of the problem means (arXiv:2411.00640),
    inside 0..1 where the scores are. Where all problems are wholly right, or all wholly wrong,
    the normal interval has no width, which is more than n problems can tell: Wilson again.
    """
    means = [fmean(samples) for samples in scores]
    n, mean = len(means), fmean(means)
    single = all(len(samples) == 1 for samples in scores)
    if set(means) <= {0.0, 1.0} and (single or len(set(means)) == 1):
        return wilson(round(sum(means)), n)
    if n < 2:
        return Interval(0.0, 1.0)
    half = Z95 * stdev(means) / math.sqrt(n)
    if min(means) < 0.0 or max(means) > 1.0:
        return Interval(mean - half, mean + half)
    return Interval(max(0.0, mean - half), min(1.0, mean + half))


def wilson(successes: int, n: int) -> Interval:
    """Wilson score interval of a proportion, 95 %."""
    if n == 0:
        return Interval(0.0, 1.0)
    p, z2 = successes / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # Exact at the ends, where rounding would leave 1e-17 or 0.9999999.
    low = centre - half if successes else 0.0
    return Interval(low, centre + half if successes < n else 1.0)
