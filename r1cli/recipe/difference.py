"""In what two resolved recipes differ, and which of it decides what a run learns."""

from __future__ import annotations

from typing import Any

AROUND = (
    *("launch", "code", "scoring", "max_failures", "vllm"),
    *("callbacks", "benchmarks", "hub"),
)
"""Keys of a recipe that a run may go on with changed: where it works and under which limits, who is
told, what follows. They do not decide what is learned: a call that a limit cuts off is no score,
and programs end alike at every code provider. Whether a checkpoint suits other ranks is for the
trainer to say."""


def learned(recipe: dict[str, Any]) -> dict[str, Any]:
    """The part of a resolved recipe that decides what a run learns."""
    return {key: value for key, value in recipe.items() if key not in AROUND}


def difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The first keys in which two resolved recipes differ: `trainer.args.beta: 0.0 -> 0.1`."""
    old, new = _flat(before), _flat(after)
    changed = [
        f"{key}: {old.get(key, 'unset')} -> {new.get(key, 'unset')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    more = f", and {len(changed) - 3} more" if len(changed) > 3 else ""
    return ", ".join(changed[:3]) + more


def _flat(data: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(data, list):
        data = dict(enumerate(data))
    if not isinstance(data, dict):
        return {prefix: data}
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
