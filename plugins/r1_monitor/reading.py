"""What one logged step says, in the order a person asks: labelled numbers, ready to be drawn.

The two sides are what the policy learns (reward and its parts, length; for SFT the loss) and how
healthy the learning is (truncation, groups without a signal, entropy, learning rate).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

COMPONENT = re.compile(r"rewards/(?P<name>.+)/mean")

_REINFORCED = {
    "reward": ("reward", "{:.3f}"),
    "completions/mean_length": ("length", "{:.1f}"),
}
_SUPERVISED = {
    "loss": ("loss", "{:.4f}"),
    "mean_token_accuracy": ("token accuracy", "{:.1%}"),
}
_HEALTH = {
    "completions/clipped_ratio": ("truncated", "{:.1%}"),
    "frac_reward_zero_std": ("zero variance", "{:.0%}"),
    "loss": ("loss", "{:.4f}"),
    "entropy": ("entropy", "{:.3f}"),
    "kl": ("kl", "{:.4f}"),
    "grad_norm": ("grad norm", "{:.3f}"),
    "learning_rate": ("learning rate", "{:.2g}"),
}


class Item(NamedTuple):
    label: str
    value: float
    text: str


class Reading(NamedTuple):
    """`outcome` is worth a curve; `health` is worth a glance."""

    outcome: list[Item]
    health: list[Item]


def number(value: Any) -> float | None:
    """The value as a float, or None for what is no number; tensors of one element are numbers."""
    if isinstance(value, str | bytes | bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def components(logs: Mapping[str, Any]) -> dict[str, float]:
    """The mean of every reward function, by its name."""
    found = {}
    for key, value in logs.items():
        match, mean = COMPONENT.fullmatch(key), number(value)
        if match and mean is not None:
            found[match["name"]] = mean
    return found


def read(logs: Mapping[str, Any]) -> Reading:
    """What of a trainer's log row is shown; empty for a row that tells of no step."""
    if "reward" in logs:
        total, length = (_items(logs, {key: _REINFORCED[key]}) for key in _REINFORCED)
        parts = [Item(name, mean, f"{mean:.3f}") for name, mean in components(logs).items()]
        return Reading([*total, *parts, *length], _items(logs, _HEALTH))
    supervised = _items(logs, _SUPERVISED)
    if not supervised:
        return Reading([], [])
    shown = {label for label, _ in _SUPERVISED.values()}
    return Reading(supervised, [i for i in _items(logs, _HEALTH) if i.label not in shown])


def _items(logs: Mapping[str, Any], wanted: Mapping[str, tuple[str, str]]) -> list[Item]:
    found = []
    for key, (label, form) in wanted.items():
        value = number(logs.get(key))
        if value is not None:
            found.append(Item(label, value, form.format(value)))
    return found


def sparkline(values: Iterable[float], width: int = 24) -> str:
    """The course of the values in one line of block characters, averaged down to `width`."""
    kept = [value for value in values if math.isfinite(value)]
    bins = min(width, len(kept))
    edges = [number * len(kept) // bins for number in range(bins + 1)] if bins else []
    means = [sum(kept[low:high]) / (high - low) for low, high in pairwise(edges)]
    if not means:
        return ""
    low, span = min(means), max(means) - min(means)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (mean - low) / span) if span else 0] for mean in means)
