"""The reward runtime: rewards bound to their arguments, called on completions, never conflated."""

from r1cli.scoring.reward import BoundReward, bind_rewards, total

__all__ = ["BoundReward", "bind_rewards", "total"]
