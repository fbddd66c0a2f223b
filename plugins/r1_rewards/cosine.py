"""A reward for the right answer that depends on its length along half a cosine."""

from __future__ import annotations

import math
from typing import Literal

from r1_rewards.accuracy import accuracy
from r1_rewards.length import size
from r1cli import Completion, UsageError


def cosine(
    completions: list[Completion],
    solution: list[str],
    *,
    min_value_wrong: float = -1.0,
    max_value_wrong: float = -0.5,
    min_value_correct: float = 0.5,
    max_value_correct: float = 1.0,
    max_len: int = 4096,
    unit: Literal["tokens", "characters"] = "tokens",
) -> list[float | None]:
    """Right answers earn more when short, wrong ones lose less when long.

    Right: from `max_value_correct` at length 0 down to `min_value_correct` at `max_len`. Wrong:
    from `min_value_wrong` up to `max_value_wrong`. Beyond `max_len` both stay where they are:
    open-r1's curve turns back and pays for twice the length again.

    Columns: `solution`, the gold answer as for `accuracy`; None where it cannot be read.

    Args:
        min_value_wrong, max_value_wrong, min_value_correct, max_value_correct: the ends.
        max_len: the length at which the curve ends; set it to the trainer's completion limit.
        unit: what a length is counted in.

    Range: [min_value_wrong, max_value_correct] or None. Source: Yeo et al., Demystifying Long
    Chain-of-Thought Reasoning (arXiv 2502.03373), without its penalty for hitting the limit.

    Pays:
        right_last: the last declaration decides, so a text may correct itself; the right answer
            never counts before a wrong one.
        percent: where the gold has no sign, 18 and 18 % are one answer, as for math-verify.
        another_base: where the gold names no base, a base is a remark like a unit.
    """
    if max_len < 1:
        raise UsageError(f"cosine: max_len = {max_len} must be at least 1")
    rewards: list[float | None] = []
    for completion, right in zip(completions, accuracy(completions, solution), strict=True):
        share = min(1.0, size(completion, unit) / max_len)
        start, end = (
            (max_value_correct, min_value_correct) if right else (min_value_wrong, max_value_wrong)
        )
        value = end + (start - end) * (1 + math.cos(math.pi * share)) / 2
        rewards.append(None if right is None else value)
    return rewards
