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

WILSON, CLUSTERED, UNKNOWN = "wilson", "t, clustered by problem", "none: one problem"


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

    For one 0/1 sample each the Wilson score interval, else Student's interval of the problem means
    (arXiv:2411.00640, which has normal ones: too narrow for few problems), inside 0..1 where the
    scores are. Where all problems have the same mean, that has no width, which is more than n
    problems can tell: Wilson again.
    """
    means = [fmean(samples) for samples in scores]
    n, mean = len(means), fmean(means)
    within = min(means) >= 0.0 and max(means) <= 1.0
    single = set(means) <= {0.0, 1.0} and all(len(samples) == 1 for samples in scores)
    if single or (within and min(means) == max(means) and (n > 1 or mean in (0.0, 1.0))):
        return wilson(sum(means), n)
    if n < 2:
        return Interval(0.0, 1.0, UNKNOWN)
    half = _t95(n - 1) * stdev(means) / math.sqrt(n)
    if not within:
        return Interval(mean - half, mean + half, CLUSTERED)
    return Interval(max(0.0, mean - half), min(1.0, mean + half), CLUSTERED)


def _t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's distribution (Abramowitz and Stegun, 26.7.5).

    Within 1 % from 2 degrees of freedom on; for one 11.3 instead of 12.7.
    """
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / math.pow(freedom, power) for power, term in enumerate(terms, start=1))


def wilson(successes: float, n: int) -> Interval:
    """Wilson score interval of a proportion, 95 %; `successes` may be a sum of shares."""
    if n == 0:
        return Interval(0.0, 1.0, WILSON)
    p, z2 = successes / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # Exact at the ends, where rounding would leave 1e-17 or 0.9999999.
    low = centre - half if successes else 0.0
    return Interval(low, centre + half if successes < n else 1.0, WILSON)
