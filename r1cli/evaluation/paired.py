"""Is B better than A? The same problems under both, so what is compared is each problem's change.

A problem's score is the mean of its samples; the problem is the unit of everything here, as its
samples are not independent (arXiv:2411.00640).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, variance
from typing import Any

from r1cli.stats import Z95

RESAMPLES = 5000
Z80 = 0.8416212335729143
"""The 80 % quantile of the standard normal distribution: the power that is asked for."""

Scores = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Paired:
    """The change from A to B. Scores and differences are in the units of the scores.

    `low` and `high` bound the difference by the paired bootstrap, 95 %. `p` is two-sided: of
    McNemar's exact test where each problem has one 0/1 sample, else of the paired z-test clustered
    by problem; `test` says which. `detectable` is the least difference that these problems and
    samples would show in 4 of 5 repetitions. `settling` says what would show the difference that
    was seen: so many samples per problem, or so many problems; None where it is shown, or is 0.
    """

    problems: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    test: str
    detectable: float
    settling: str | None

    @property
    def settled(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "settled": self.settled}


def paired(a: Scores, b: Scores, *, seed: int = 0) -> Paired:
    """`a[p]` and `b[p]` are the scores of the samples of one problem. Two problems at least."""
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"{len(a)} and {len(b)} problems cannot be paired; two are the least")
    first, second = [fmean(s) for s in a], [fmean(s) for s in b]
    changes = [y - x for x, y in zip(first, second, strict=True)]
    difference, error = fmean(changes), math.sqrt(variance(changes) / len(changes))
    low, high = bootstrap(changes, seed=seed)
    single = all(len(s) == 1 for s in (*a, *b)) and {*first, *second} <= {0.0, 1.0}
    p = mcnemar(changes.count(1.0), changes.count(-1.0)) if single else _z_test(difference, error)
    shown = low > 0 or high < 0
    return Paired(
        problems=len(changes),
        a=fmean(first),
        b=fmean(second),
        difference=difference,
        low=low,
        high=high,
        p=p,
        test="McNemar, exact" if single else "paired z, clustered by problem",
        detectable=(Z95 + Z80) * error,
        settling=None if shown or not difference else _settling(a, b, changes),
    )


def bootstrap(changes: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean change, problems drawn with replacement."""
    rng, n = random.Random(seed), len(changes)
    means = sorted(fmean(rng.choices(changes, k=n)) for _ in range(RESAMPLES))
    edge = round(0.025 * RESAMPLES)
    return means[edge], means[-edge - 1]


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p: were the problems that changed sides as likely to go either way?"""
    changed, fewer = gained + lost, min(gained, lost)
    if not changed:
        return 1.0
    tail = sum(math.comb(changed, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**changed))


def _z_test(difference: float, error: float) -> float:
    if not error:
        return 0.0 if difference else 1.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def _settling(a: Scores, b: Scores, changes: Sequence[float]) -> str:
    """What would show a difference of this size in 4 of 5 repetitions, as a phrase.

    The variance of the mean change is between problems, which more samples do not lower, and
    within them, which n samples lower by n.
    """
    n = len(changes)
    target = (abs(fmean(changes)) / (Z95 + Z80)) ** 2  # of the variance of the mean change
    least = min(len(samples) for samples in (*a, *b))
    if least > 1:
        pairs = zip(a, b, strict=True)
        within = fmean(variance(x) / len(x) + variance(y) / len(y) for x, y in pairs)
        between = max(0.0, variance(changes) - within)
        room = n * target - between
        if room > 0:
            return f"{math.ceil(least * within / room)} samples per problem"
    problems = math.ceil(variance(changes) / target)
    if least > 1:
        return f"{problems} problems with as many samples each: more of these would not do"
    return f"{problems} problems, or more than one sample of these"
