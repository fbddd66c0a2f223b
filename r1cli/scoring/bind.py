"""The rewards that a recipe names: looked up, their arguments checked, and where they apply."""

from __future__ import annotations

from collections.abc import Sequence

from r1cli import signature
from r1cli.errors import UsageError, suggest
from r1cli.plugins import Plugins
from r1cli.recipe import Recipe
from r1cli.scoring.reward import BoundReward


def bind_rewards(recipe: Recipe, plugins: Plugins) -> list[BoundReward]:
    """The rewards of a recipe, names looked up and arguments checked."""
    bound: list[BoundReward] = []
    for number, term in enumerate(recipe.rewards):
        where = recipe.where("rewards", number, "name")
        entry = plugins["rewards"].get(term.name, where)
        if any(reward.name == entry.name for reward in bound):
            raise UsageError(f"reward {entry.name!r} is listed twice, at {where}")
        function = entry.load()
        args = signature.bind(
            function,
            term.args,
            what=f"reward {entry.name!r}",
            where=recipe.where("rewards", number, "args"),
        )
        bound.append(BoundReward(entry.name, function, args, term.weight, term.seconds))
    _check_mixture(recipe, [reward.name for reward in bound])
    return bound


def _check_mixture(recipe: Recipe, names: Sequence[str]) -> None:
    """Each part of a mixture may name some of the recipe's rewards, and no others."""
    for part, item in enumerate(recipe.dataset.mixture):
        for number, name in enumerate(item.rewards or ()):
            if name.rpartition("/")[2] not in names:
                where = recipe.where("dataset", "mixture", part, "rewards", number)
                raise UsageError(
                    f"{name!r} at {where} is none of the recipe's rewards; {suggest(name, names)}"
                )
