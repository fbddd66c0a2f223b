"""The samples that are kept, as rows to train on: `messages`, and what is known of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from r1cli.generation.prompts import Item, conversation
from r1cli.generation.recipe import GenerateRecipe
from r1cli.records import Attempt
from r1cli.scoring import BoundReward
from r1cli.types import Outcome

IN_THE_WAY = re.compile(r"completion|(reward|outcome)/.*", re.DOTALL)
"""Columns that would be trained on instead of `messages`, or were said of another answer."""


def score(outcomes: Sequence[Outcome], rewards: Sequence[BoundReward]) -> float | None:
    """The weighted mean of the rewards; None where one of them failed, or none applies."""
    if any(outcome.status == "failed" for outcome in outcomes):
        return None
    judged = [
        (reward.weight, outcome.value)
        for reward, outcome in zip(rewards, outcomes, strict=True)
        if outcome.value is not None and reward.weight
    ]
    weights = sum(weight for weight, _ in judged)
    return sum(weight * value for weight, value in judged) / weights if weights else None


def kept(
    attempts: Sequence[Attempt], scores: Sequence[float | None], recipe: GenerateRecipe
) -> list[int]:
    """The places of the attempts that are kept; of several best ones the shortest, then first."""
    places = list(range(len(attempts)))
    if recipe.keep == "all":
        return places
    judged = [(place, value) for place in places if (value := scores[place]) is not None]
    if recipe.keep == "correct":
        return [place for place, value in judged if value >= recipe.threshold]
    best = min(judged, key=lambda one: (-one[1], attempts[one[0]].tokens, one[0]), default=None)
    return [best[0]] if best else []


def rows_of(
    item: Item,
    row: Mapping[str, Any],
    attempts: Sequence[Attempt],
    outcomes: Sequence[Sequence[Outcome]],
    rewards: Sequence[BoundReward],
    recipe: GenerateRecipe,
) -> Iterator[dict[str, Any]]:
    """The rows that come of one item. `outcomes[a][r]` is reward r on attempt a."""
    scores = [score(one, rewards) for one in outcomes]
    for place in kept(attempts, scores, recipe):
        attempt = attempts[place]
        given = {name: value for name, value in row.items() if not IN_THE_WAY.fullmatch(name)}
        judged = zip(rewards, outcomes[place], strict=True)
        yield {
            **given,
            "uuid": item.uuid,
            "messages": conversation(item.prompt, attempt.text),
            "generation": attempt.text,
            "sample": attempt.index - item.samples.start,
            "model": attempt.model_name,
            "tokens": attempt.tokens,
            "finish_reason": attempt.finish_reason,
            "attempt": attempt.id,
            **{
                name: value
                for reward, outcome in judged
                for name, value in (
                    (f"reward/{reward.name}", outcome.value),
                    (f"outcome/{reward.name}", outcome.status),
                )
            },
        }
