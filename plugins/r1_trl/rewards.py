"""r1's rewards as TRL calls them: completions made whole, columns picked, outcomes kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from r1cli import BoundReward, Completion, Outcome

THEIRS = {"trainer_state", "log_extra", "log_metric", "environments"}
"""What TRL adds to the dataset's columns."""


class RewardAdapter:
    """One reward with TRL's calling convention; `__name__` names its metrics."""

    def __init__(
        self, reward: BoundReward, prefill: Callable[[Any], str], eos_token_ids: Sequence[int]
    ) -> None:
        self.reward, self.prefill, self.eos_token_ids = reward, prefill, set(eos_token_ids)
        self.__name__ = reward.name

    def __call__(
        self,
        *,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]],
        **columns: Any,
    ) -> list[float | None]:
        columns = {name: values for name, values in columns.items() if name not in THEIRS}
        outcomes = self.reward.score(
            self._completions(prompts, completions, completion_ids), prompts, columns
        )
        return [outcome_value(outcome) for outcome in outcomes]

    def _completions(
        self, prompts: list[Any], completions: list[Any], ids: list[list[int]]
    ) -> list[Completion]:
        return [
            Completion(
                text_of(completion),
                prefill=self.prefill(prompt),
                tokens=len(tokens),
                truncated=not tokens or tokens[-1] not in self.eos_token_ids,
            )
            for prompt, completion, tokens in zip(prompts, completions, ids, strict=True)
        ]


def text_of(completion: Any) -> str:
    """TRL's completion, a string or a list of one assistant message, as text."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"] or "")


def outcome_value(outcome: Outcome) -> float | None:
    """None leaves the completion out of the group's statistics (TRL reads it as NaN)."""
    return outcome.value
