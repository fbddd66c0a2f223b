"""Rewards by name with `--arg reward.key=value`, bound as a recipe would bind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from r1cli import source
from r1cli.errors import UsageError, suggest
from r1cli.plugins import Plugins
from r1cli.scoring import BoundReward, bind_reward


def rewards(
    names: Sequence[str], assignments: Sequence[str], plugins: Plugins
) -> list[BoundReward]:
    """The rewards called `names`, each once, with what the assignments say."""
    given = arguments(assignments, names)
    return [
        bind_reward(name, given.get(name, {}), plugins, where="--arg")
        for name in dict.fromkeys(names)
    ]


def arguments(
    assignments: Sequence[str], names: Sequence[str], option: str = "--arg"
) -> dict[str, dict[str, Any]]:
    """`reward.key=value` by reward; with a single reward its name may be left out."""
    found: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        name, dot, argument = key.rpartition(".")
        if not dot and len(set(names)) == 1:
            name = names[0]
        if not (equals and argument and name):
            raise UsageError(f"{option} {assignment!r} is not of the form reward.key=value")
        if name not in names:
            raise UsageError(
                f"{option} {assignment!r}: no --reward {name!r}; {suggest(name, names)}"
            )
        found.setdefault(name, {})[argument] = source.parse(value, f"{option} {key}").data
    return found
