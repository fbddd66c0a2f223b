"""Attempts as tables: what there is of each kind, and one flat row per attempt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from r1cli.records.attempt import Attempt


@dataclass
class _Group:
    prompts: set[str] = field(default_factory=set)
    attempts: int = 0
    tokens: int = 0
    last: float = 0.0
    scores: dict[str, list[float]] = field(default_factory=dict)


GROUPED = ("model_name", "model", "engine", "source", "temperature", "max_tokens")


def groups(attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    """One row per model, engine, source and sampling; the mean of each reward where it scored."""
    found: dict[tuple[Any, ...], _Group] = {}
    for attempt in attempts:
        known = {**vars(attempt), **attempt.sampling}
        group = found.setdefault(tuple(known[name] for name in GROUPED), _Group())
        group.prompts.add(attempt.prompt)
        group.attempts += 1
        group.tokens += attempt.tokens
        group.last = max(group.last, attempt.created)
        for name, value in scores(attempt).items():
            if value is not None:
                group.scores.setdefault(name, []).append(value)
    return [
        {
            **dict(zip(GROUPED, key, strict=True)),
            "prompts": len(group.prompts),
            "attempts": group.attempts,
            "tokens": group.tokens,
            "last": group.last,
            "rewards": {name: round(fmean(v), 4) for name, v in group.scores.items()},
        }
        for key, group in found.items()
    ]


def flat(attempt: Attempt) -> dict[str, Any]:
    """The attempt as stored, with its id, and `reward/<name>` and `outcome/<name>` for each."""
    row: dict[str, Any] = {"id": attempt.id, **attempt.to_row()}
    for judged in attempt.rewards:
        row[f"reward/{judged.reward}"] = judged.value
        row[f"outcome/{judged.reward}"] = judged.status
    return row


def scores(attempt: Attempt) -> dict[str, float | None]:
    """The latest value of each reward; None where it is not applicable or failed."""
    return {judged.reward: judged.value for judged in attempt.rewards}
