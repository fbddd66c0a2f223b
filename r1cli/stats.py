"""The numbers of an evaluation: avg@n, pass@k, maj@n, and how sure they are.

`scores[p][s]` is sample s of problem p. Samples of one problem are not independent, so the problem
is the unit of every interval.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

WILSON, CLUSTERED, UNKNOWN = "wilson", "normal, clustered by problem", "none: one problem"


class Interval(NamedTuple):
    """A 95 % interval. `method` says how it was made."""

    low: float
    high: float
    method: str


def avg_at_n(scores: Sequence[Sequence[float]]) -> float:
    """Mean over problems of the mean over samples."""
    return fmean(fmean(samples) for samples in scores)


def pass_at_k(correct: int, n: int, k: int) -> float:
    """Unbiased estimate from n samples of which `correct` are right (arXiv:2107.03374, eq. 1)."""
    if not 0 <= correct <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} of {correct} right in {n} samples is not defined")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def majority(answers: Sequence[str | None], scores: Sequence[float]) -> float:
    """The expected score of the most frequent answer of one problem (arXiv:2203.11171).

    Equal answers are equal texts. Where several are most frequent, one is drawn: the mean of
    their scores. A sample without an answer has no vote; without any vote the score is 0.
    """
    votes: defaultdict[str, list[float]] = defaultdict(list)
    for answer, score in zip(answers, scores, strict=True):
        if answer is not None:
            votes[answer].append(score)
    most = max(map(len, votes.values()), default=0)
    return fmean(fmean(v) for v in votes.values() if len(v) == most) if most else 0.0


def interval(scores: Sequence[Sequence[float]]) -> Interval:
    """95 % interval of avg@n, clustered by problem.

    For one 0/1 sample each the Wilson score interval, else the normal interval of the problem means
    (arXiv:2411.00640), inside 0..1 where the scores are. Where all problems are wholly right, or
    all wholly wrong, the normal interval has no width, which is more than n problems can tell:
    Wilson again.
    """
    means = [fmean(samples) for samples in scores]
    n, mean = len(means), fmean(means)
    single = all(len(samples) == 1 for samples in scores)
    if set(means) <= {0.0, 1.0} and (single or len(set(means)) == 1):
        return wilson(round(sum(means)), n)
    if n < 2:
        return Interval(0.0, 1.0, UNKNOWN)
    half = Z95 * stdev(means) / math.sqrt(n)
    if min(means) < 0.0 or max(means) > 1.0:
        return Interval(mean - half, mean + half, CLUSTERED)
    return Interval(max(0.0, mean - half), min(1.0, mean + half), CLUSTERED)


def wilson(successes: int, n: int) -> Interval:
    """Wilson score interval of a proportion, 95 %."""
    if n == 0:
        return Interval(0.0, 1.0, WILSON)
    p, z2 = successes / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # Exact at the ends, where rounding would leave 1e-17 or 0.9999999.
    low = centre - half if successes else 0.0
    return Interval(low, centre + half if successes < n else 1.0, WILSON)
