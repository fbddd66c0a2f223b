"""The reward runtime: rewards bound to their arguments, called on completions, never conflated."""

from r1cli.scoring.reward import BoundReward, bind_rewards, total
from r1cli.scoring.scorer import Scorer

__all__ = ["BoundReward", "Scorer", "bind_rewards", "total"]
