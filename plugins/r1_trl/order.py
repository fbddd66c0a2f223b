"""Rows that a curriculum has put in order reach the trainer in that order."""

from __future__ import annotations

from typing import Any

from r1cli import Recipe, UsageError


def in_order(recipe: Recipe, **wanted: Any) -> dict[str, Any]:
    """The trainer's arguments that keep the order of the rows; none where the recipe asks for none.

    Raises UsageError where `trainer.args` give one of them another value.
    """
    curriculum = recipe.dataset.curriculum
    if curriculum is None or curriculum.order is None:
        return {}
    for name, value in wanted.items():
        given = recipe.trainer.args.get(name, value)
        if given != value:
            hint = ", or say packing_strategy: wrapped" if name == "packing" else ""
            raise UsageError(
                f"{recipe.where('trainer', 'args', name)} = {given!r} puts rows in another order "
                f"than {recipe.where('dataset', 'curriculum', 'order')} = {curriculum.order!r}; "
                f"leave out one of them{hint}"
            )
    return wanted
