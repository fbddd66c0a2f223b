"""Several rewards on one batch: the door through which training and evaluation score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from r1cli.scoring.reward import BoundReward
from r1cli.types import Completion, Outcome, Prompt


class Scorer:
    """Scores batches with a set of rewards. A context manager: leaving it ends its workers."""

    def __init__(self, rewards: Sequence[BoundReward]) -> None:
        self.rewards = list(rewards)

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def score(
        self,
        completions: Sequence[Completion],
        prompts: Sequence[Prompt],
        columns: Mapping[str, Sequence[Any]],
    ) -> list[list[Outcome]]:
        """`outcomes[r][i]`: reward r on completion i; `columns` hold one value per completion."""
        return [reward.score(completions, prompts, columns) for reward in self.rewards]
