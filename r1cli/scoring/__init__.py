"""The reward runtime: rewards bound to their arguments, called on completions, never conflated."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1cli.scoring.bind import bind_reward, bind_rewards
    from r1cli.scoring.gold import check_gold
    from r1cli.scoring.reward import BoundReward, RewardError, total
    from r1cli.scoring.scorer import Scorer

# Loaded when first asked for: a worker starts in a third of the time.
_LAZY = {
    "BoundReward": "reward",
    "RewardError": "reward",
    "Scorer": "scorer",
    "bind_reward": "bind",
    "bind_rewards": "bind",
    "check_gold": "gold",
    "total": "reward",
}

__all__ = [
    "BoundReward",
    "RewardError",
    "Scorer",
    "bind_reward",
    "bind_rewards",
    "check_gold",
    "total",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'r1cli.scoring' has no attribute {name!r}")
    return getattr(import_module(f"r1cli.scoring.{_LAZY[name]}"), name)
