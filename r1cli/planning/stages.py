"""The recipes of a pipeline as they are planned: each on the model that the first one starts from.

A stage begins with the policy of the one before, which is not there yet; its shape is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1cli.pipeline import stage_recipes
from r1cli.recipe import Edits, Model, Pipeline, Recipe


def stages_to_plan(pipeline: Pipeline, path: Path, sets: Mapping[str, Any]) -> list[Recipe]:
    """The stages' recipes with `sets` (dotted keys) in each of them."""
    stages = [stage.model_copy(update={"set": {**stage.set, **sets}}) for stage in pipeline.stages]
    changed = pipeline.model_copy(update={"stages": stages})
    recipes: list[Recipe] = []
    for recipe, _ in stage_recipes(changed, path, Path(str(pipeline.name))):
        model = _after(recipes[-1].model, recipe.model) if recipes else recipe.model
        recipes.append(recipe.model_copy(update={"model": model}))
    return recipes


def _after(before: Model, model: Model) -> Model:
    """A stage's model by the name it began with: an adapter and edits are handed on with it."""
    edits = _said(before.edits) | _said(model.edits)
    return model.model_copy(
        update={
            "name": before.name,
            "args": before.args,
            "revision": before.revision,
            "adapter": model.adapter or before.adapter,
            "edits": Edits.model_validate(edits) if edits else None,
        }
    )


def _said(edits: Edits | None) -> dict[str, Any]:
    return edits.model_dump(exclude_none=True) if edits else {}
