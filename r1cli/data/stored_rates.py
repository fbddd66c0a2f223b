"""How often each row's problem was solved so far: by attempts that are there, none is made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from r1cli.check import resolve_model
from r1cli.errors import UsageError
from r1cli.generation.scoring import spec
from r1cli.models import model_key
from r1cli.plugins import Plugins
from r1cli.problem import own, problem_hash, question
from r1cli.recipe import Recipe
from r1cli.recipe.dataset import Curriculum
from r1cli.records import Attempt, Store, matching, rollouts
from r1cli.scoring import BoundReward, bind_rewards

if TYPE_CHECKING:
    from datasets import Dataset

Row = dict[str, Any]
KEY = ("dataset", "curriculum")


@dataclass
class StoredRates:
    """`scores[row]` are those of the judged attempts at the row's problem, by `reward`.

    `whose` says of which model they are and where they were found. `passed_over` counts attempts
    that it did not judge, or for another gold answer, `judges` the rewards that judged those, and
    `others` attempts by their models.
    """

    reward: str
    whose: str
    scores: list[list[float]]
    passed_over: int = 0
    judges: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def rates(self) -> list[float | None]:
        """A mean for each row; None where there is no judged attempt."""
        return [fmean(scores) if scores else None for scores in self.scores]

    @property
    def attempts(self) -> int:
        return sum(map(len, self.scores))


def stored_rates(rows: Dataset, recipe: Recipe, plugins: Plugins) -> StoredRates:
    """What is known of rows with `prompt`, or `messages`, by the attempts of a curriculum.

    A judgement counts if it was made with the recipe's own arguments of the reward and with the
    row's own gold answer; of a reward that the recipe does not have, and of rollouts, any does.
    Raises UsageError where no row has one.
    """
    asked = _asked(recipe)
    name, bound = _reward(recipe, plugins)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, prompt in enumerate(_prompts(rows, recipe)):
        for known_as in _hashes(prompt) if prompt else ():
            places[known_as].append(number)

    @cache
    def spec_of(number: int) -> str | None:
        if asked.run is not None or bound is None or not bound.per_sample:
            return None
        return spec(bound, rows[number])

    whose, is_theirs = _whose(recipe, plugins)
    found = StoredRates(name, whose, [[] for _ in range(len(rows))])
    for attempt in _attempts(asked, places, is_theirs, found.others):
        for number in places[attempt.problem]:
            outcome = attempt.outcome(name, spec_of(number))
            if outcome is None:
                found.passed_over += 1
                found.judges.update({judged.reward for judged in attempt.rewards})
            elif outcome.value is not None:
                found.scores[number].append(outcome.value)
    if not found.attempts:
        raise UsageError(_nothing(found, recipe, bound, plugins))
    return found


def _asked(recipe: Recipe) -> Curriculum:
    assert recipe.dataset.curriculum
    return recipe.dataset.curriculum


def _reward(recipe: Recipe, plugins: Plugins) -> tuple[str, BoundReward | None]:
    """The reward to go by, and how it is bound where the recipe has it."""
    rewards = {reward.name: reward for reward in bind_rewards(recipe, plugins)}
    name = _asked(recipe).reward or next(iter(rewards))
    return name, rewards.get(name)


def _prompts(rows: Dataset, recipe: Recipe) -> Iterator[Any]:
    """What each row asks; of whole conversations all before the first answer."""
    if "prompt" in rows.column_names:
        yield from rows["prompt"]
    elif "messages" in rows.column_names:
        for turns in rows["messages"]:
            roles = [turn["role"] for turn in turns or ()]
            yield turns[: roles.index("assistant")] if "assistant" in roles else turns
    else:
        raise UsageError(
            f"{recipe.where(*KEY)} finds attempts by the column prompt or messages; the dataset "
            f"has {', '.join(rows.column_names)}; rename with {recipe.where('dataset', 'columns')}"
        )


def _hashes(prompt: Any) -> set[str]:
    """What a problem is known by: as text, as messages, with its own system prompt."""
    text = question(prompt)
    alike = [] if text is None else [text, [{"role": "user", "content": text}]]
    return {problem_hash(one) for one in (own(prompt), *alike)}


def _whose(recipe: Recipe, plugins: Plugins) -> tuple[str, Callable[[Row], bool]]:
    """The model by whose attempts to go; a folder is known by its weights, whatever its name."""
    asked = _asked(recipe)
    if asked.run is not None:
        return f"in the rollouts of {asked.run}", lambda row: True
    name = _model(recipe, plugins)
    folder = Path(name)
    folder = folder / "model" if (folder / "run.json").exists() else folder
    whose = f"of {name!r} in {asked.records}"
    if not folder.is_dir():
        return whose, matching(model=name)
    key = model_key(str(folder))
    return whose, lambda row: bool(row["model"] == key)


def _model(recipe: Recipe, plugins: Plugins) -> str:
    """The model as other commands take it: a folder where the recipe's is a registered one."""
    return _asked(recipe).model or resolve_model(recipe, plugins).model.name


def _attempts(
    asked: Curriculum,
    problems: Collection[str],
    is_theirs: Callable[[Row], bool],
    others: Counter[str],
) -> Iterator[Attempt]:
    """The attempts at some problems; those of other models are counted alone."""
    if asked.run is not None:
        yield from (one for one in rollouts(Path(asked.run)) if one.problem in problems)
        return

    def keep(row: Row) -> bool:
        if row["problem"] not in problems or is_theirs(row):
            return row["problem"] in problems
        others[row["model_name"]] += 1
        return False

    with Store(Path(asked.records)) as store:
        yield from store.scan(keep)


def _nothing(
    found: StoredRates, recipe: Recipe, bound: BoundReward | None, plugins: Plugins
) -> str:
    """Why no row is known, and what would change that."""
    asked = _asked(recipe)
    said = f"{recipe.where(*KEY)}: no attempt {found.whose} at any of {len(found.scores)} rows"
    if found.passed_over:
        said += f" is judged by {found.reward!r}"
    if found.reward in found.judges:
        said += " with the recipe's arguments and the rows' gold answers"
    elif found.judges:
        said += f", but by {_list(found.judges)}"
    elif found.others:
        said += f", but of {_list(found.others)}: name one as dataset.curriculum.model"
    if asked.run is not None:
        return f"{said}; leave out run to go by the attempt store"
    args = {} if bound is None else bound.args
    words = [f"--model {_model(recipe, plugins)}", f"--reward {found.reward}"]
    words += [f"--reward-arg {found.reward}.{k}={v}" for k, v in args.items() if k != "code"]
    words += [f"--records {asked.records}"] if "records" in asked.model_fields_set else []
    return (
        f"{said}; to judge and sample what is missing: r1 data mix RECIPE "
        f"--set dataset.curriculum=null --out every-row.jsonl; r1 data pass-rate every-row.jsonl "
        f"{' '.join(words)} --n 8"
    )


def _list(counts: Counter[str]) -> str:
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:5]
    return ", ".join(f"{name} ({count})" for name, count in most)
