"""r1's rewards as TRL wants them, and what their outcomes mean for its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r1_trl import microbatch
from r1cli import BoundReward, Completion, Outcome

if TYPE_CHECKING:
    import torch


class RewardName:
    """Stands for a reward in TRL's list, which names metrics; the trainer calls the scorer."""

    def __init__(self, reward: BoundReward) -> None:
        self.__name__ = reward.name

    def __call__(self, **given: Any) -> list[float | None]:
        raise AssertionError("rewards are scored together, by Trainer._calculate_rewards")


class Reader:
    """TRL's completions as rewards want them: whole, with what the template opened."""

    def __init__(self, prefill: Callable[[Any], str], eos_token_ids: Sequence[int]) -> None:
        self.prefill, self.eos_token_ids = prefill, set(eos_token_ids)

    def read(
        self, prompts: Sequence[Any], completions: Sequence[Any], ids: Sequence[Sequence[int]]
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


def columns_of(inputs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The dataset's columns of a batch of rows."""
    ours = {"prompt", "completion", "completion_ids"}
    return {name: [row[name] for row in inputs] for name in inputs[0] if name not in ours}


def endings(outcomes: Sequence[Sequence[Outcome]]) -> list[str]:
    """Per completion `score`, `not_applicable`, or `failed (the reward: the reason)`."""
    ends = []
    for column in zip(*outcomes, strict=True):
        failed = [outcome.reason for outcome in column if outcome.status == "failed"]
        scored = any(outcome.status == "score" for outcome in column)
        ends.append(f"failed ({failed[0]})" if failed else "score" if scored else "not_applicable")
    return ends


def table(outcomes: Sequence[Sequence[Outcome]]) -> torch.Tensor:
    """Rewards (B, R) as TRL reads them: NaN is no reward, a row of NaN is left out of its group.

    A completion that any reward failed on is such a row: a sum without one of its parts would be
    compared with whole ones.
    """
    import torch

    values = torch.tensor([[_value(o) for o in column] for column in zip(*outcomes, strict=True)])
    failed = torch.tensor(
        [any(o.status == "failed" for o in column) for column in zip(*outcomes, strict=True)]
    )
    return values.masked_fill(failed.unsqueeze(1), torch.nan)


def _value(outcome: Outcome) -> float:
    return float("nan") if outcome.value is None else outcome.value


def leave_out(
    batch: dict[str, Any], failed: torch.Tensor, gather: Callable[[Any], Any], loss_type: str
) -> float:
    """Take the rows that failed (B,) out of a generation batch; return what to scale its loss by.

    Their tokens leave the mask, and the count of tokens that DAPO's loss is divided by. GRPO's
    loss is a mean over rows instead: TRL still divides by all of them, which the scale undoes.
    """
    batch["completion_mask"] = batch["completion_mask"] * (~failed).unsqueeze(1).int()
    batch["num_items_in_batch"] = gather(microbatch.loss_mask(batch).sum()).sum()
    everywhere = gather(failed)
    kept = int((~everywhere).sum())
    if loss_type not in microbatch.ROW_MEAN or not kept:
        return 1.0
    return len(everywhere) / kept
