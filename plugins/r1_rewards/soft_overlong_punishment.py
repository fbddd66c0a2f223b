"""A penalty that grows as a completion nears the limit, instead of a cliff at it."""

from __future__ import annotations

from r1_rewards.length import tokens
from r1cli import Completion, UsageError


def soft_overlong_punishment(
    completions: list[Completion],
    *,
    max_completion_len: int = 16384,
    soft_punish_cache: int = 4096,
) -> list[float]:
    """0 up to the last `soft_punish_cache` tokens, then linearly down to -1 at the limit.

    Columns: none; it counts the tokens that were sampled.

    Args:
        max_completion_len: the limit, in tokens; set it to the trainer's completion limit.
        soft_punish_cache: how many tokens before the limit the penalty begins.

    Range: [-1, 0]. Source: DAPO (arXiv 2503.14476, equation 13).
    """
    if not 0 <= soft_punish_cache <= max_completion_len:
        raise UsageError(
            f"soft_overlong_punishment: soft_punish_cache = {soft_punish_cache} must be between 0 "
            f"and max_completion_len = {max_completion_len}"
        )
    free = max_completion_len - soft_punish_cache
    rewards: list[float] = []
    for completion in completions:
        over = tokens(completion) - free
        if over <= 0:
            rewards.append(0.0)
        else:
            rewards.append(-min(1.0, over / soft_punish_cache) if soft_punish_cache else -1.0)
    return rewards
