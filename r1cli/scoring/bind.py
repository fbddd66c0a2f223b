"""Rewards by name: looked up, their arguments checked, handed the services they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from r1cli import signature
from r1cli.code.opening import code_service
from r1cli.code.service import CodeService
from r1cli.errors import UsageError, suggest
from r1cli.plugins import Plugins
from r1cli.recipe import Component, Recipe
from r1cli.registry import Entry
from r1cli.scoring.reward import BoundReward


def bind_rewards(recipe: Recipe, plugins: Plugins) -> list[BoundReward]:
    """The rewards of a recipe. Those that run programs share one code service."""
    bound: list[BoundReward] = []
    at = recipe.where("code")
    plugins["code_providers"].get(recipe.code.name, at)
    code = cache(lambda: code_service(recipe.code, plugins, where=at))
    for number, term in enumerate(recipe.rewards):
        where = recipe.where("rewards", number, "name")
        entry = plugins["rewards"].get(term.name, where)
        if any(reward.name == entry.name for reward in bound):
            raise UsageError(f"reward {entry.name!r} is listed twice, at {where}")
        function = entry.load()
        args = _arguments(entry, function, term.args, recipe.where("rewards", number, "args"), code)
        bound.append(BoundReward(entry.name, function, args, term.weight, term.seconds))
    _check_mixture(recipe, [reward.name for reward in bound])
    return bound


def bind_reward(
    name: str,
    args: Mapping[str, Any],
    plugins: Plugins,
    *,
    where: str,
    code: Component | None = None,
) -> BoundReward:
    """One reward outside a recipe; `code` names the provider for programs, `local` by default."""
    entry = plugins["rewards"].get(name)
    function = entry.load()
    chosen = code or Component(name="local")
    given = _arguments(
        entry, function, args, where, lambda: code_service(chosen, plugins, where=where)
    )
    return BoundReward(plugins["rewards"].name_of(entry), function, given)


def _arguments(
    entry: Entry,
    function: Any,
    args: Mapping[str, Any],
    where: str,
    code: Callable[[], CodeService],
) -> dict[str, Any]:
    services = signature.services(function)
    given = signature.bind(
        function, args, what=f"reward {entry.name!r}", where=where, expected=services
    )
    return {**given, "code": code()} if "code" in services else given


def _check_mixture(recipe: Recipe, names: Sequence[str]) -> None:
    """Each part of a mixture may name some of the recipe's rewards, and no others."""
    for part, item in enumerate(recipe.dataset.mixture):
        for number, name in enumerate(item.rewards or ()):
            if name.rpartition("/")[2] not in names:
                where = recipe.where("dataset", "mixture", part, "rewards", number)
                raise UsageError(
                    f"{name!r} at {where} is none of the recipe's rewards; {suggest(name, names)}"
                )
