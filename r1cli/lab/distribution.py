"""How the scores of one reward lie: quantiles, shares of what was not scored, a histogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, pstdev, quantiles
from typing import Any

from r1cli.types import Outcome

BINS = 10
BAR = 40  # characters of the longest bar


def summary(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """One row: `n` completions, of which the shares were not applicable or failed."""
    values = sorted(o.value for o in outcomes if o.value is not None)
    status = Counter(o.status for o in outcomes)
    quarter = [None] * 3 if not values else [values[0]] * 3
    if len(values) > 1:
        quarter = list(quantiles(values, n=4, method="inclusive"))
    return {
        "reward": name,
        "n": len(outcomes),
        "mean": fmean(values) if values else None,
        "std": pstdev(values) if values else None,
        "min": values[0] if values else None,
        "q25": quarter[0],
        "median": quarter[1],
        "q75": quarter[2],
        "max": values[-1] if values else None,
        "not_applicable": status["not_applicable"] / len(outcomes),
        "failed": status["failed"] / len(outcomes),
    }


def histogram(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The bars of what was scored."""
    return bars([o.value for o in outcomes if o.value is not None])


def bars(values: Sequence[float]) -> list[dict[str, Any]]:
    """Rows of value, count and bar: one per value where there are few, else ten equal bins."""
    if not values:
        return []
    distinct = sorted(set(values))
    if len(distinct) <= BINS:
        counted = Counter(values)
        drawn = [(f"{value:g}", counted[value]) for value in distinct]
    else:
        low, width = distinct[0], (distinct[-1] - distinct[0]) / BINS
        bins = Counter(min(BINS - 1, int((value - low) / width)) for value in values)
        drawn = [
            (f"{low + i * width:.3g} to {low + (i + 1) * width:.3g}", bins[i]) for i in range(BINS)
        ]
    most = max(count for _, count in drawn)
    return [
        {"value": label, "count": count, "": "█" * round(BAR * count / most)}
        for label, count in drawn
    ]
