"""Metrics as series over steps: what the curves and the terminal picture draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from r1_monitor.reading import components, number

Rows = Sequence[Mapping[str, Any]]


class Series(NamedTuple):
    label: str
    steps: list[int]
    values: list[float]

    def smooth(self) -> list[float]:
        """A centred moving average over about a tenth of the run."""
        reach = len(self.values) // 20
        return [
            fmean(self.values[max(0, at - reach) : at + reach + 1])
            for at in range(len(self.values))
        ]


def series(rows: Rows, key: str, label: str) -> Series:
    """One metric over the steps that have it as a finite number."""
    points = [(row.get("step"), number(row.get(key))) for row in rows]
    kept = [(s, v) for s, v in points if isinstance(s, int) and v is not None and math.isfinite(v)]
    return Series(label, [step for step, _ in kept], [value for _, value in kept])


def reinforced(rows: Rows) -> bool:
    """Whether the rows tell of reinforcement, whatever the trainer is called."""
    return any("reward" in row for row in rows)


def reward_names(rows: Rows) -> list[str]:
    """The reward functions in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in components(row)))


def outcomes(rows: Rows) -> list[Series]:
    """The curves that say how a stage went; those without a point are left out.

    A recipe names first the reward that verifies, where that is not `accuracy`.
    """
    if reinforced(rows):
        names = reward_names(rows)
        verifier = "accuracy" if "accuracy" in names or not names else names[0]
        wanted = {
            f"rewards/{verifier}/mean": f"{verifier} reward",
            "reward": "total reward",
            "completions/mean_length": "mean completion length (tokens)",
            "eval_reward": "held-out reward",
        }
    else:
        wanted = {
            "loss": "loss",
            "mean_token_accuracy": "token accuracy",
            "eval_loss": "held-out loss",
            "eval_mean_token_accuracy": "held-out token accuracy",
        }
    found = [series(rows, key, label) for key, label in wanted.items()]
    return [one for one in found if one.steps]
