"""`model.edits`: declared surgery on the model's config, before its weights are loaded.

Rotary positions have no weights, so their base and reach may be changed under a trained model, as
open-r1 did for its distilled Qwen (theta 10000 to 300000, 4096 to 32768 positions).
"""

from __future__ import annotations

import logging
from typing import Any

from r1cli import Recipe, UsageError, stored_adapter

log = logging.getLogger("r1cli.policy")


def apply(config: Any, recipe: Recipe) -> None:
    """Edit a config from transformers as the recipe says, and log each value before and after.

    Raises UsageError where the model has no such part, or transformers refuses the result.
    """
    edits = recipe.model.edits
    if edits is None:
        return
    text = config.get_text_config()
    if edits.max_position_embeddings:
        before = getattr(text, "max_position_embeddings", None)
        if before is None:
            raise _without(recipe, "max_position_embeddings", "says no number of positions")
        _rotary(text, recipe, "max_position_embeddings")
        text.max_position_embeddings = edits.max_position_embeddings
        _say(recipe, "max_position_embeddings", before, edits.max_position_embeddings)
    if edits.rope_theta:
        rope = _rotary(text, recipe, "rope_theta")
        _say(recipe, "rope_theta", rope.get("rope_theta"), edits.rope_theta)
        text.rope_parameters = {**rope, "rope_theta": edits.rope_theta}
    if edits.rope_scaling:
        rope = _rotary(text, recipe, "rope_scaling")
        kept = {"rope_theta", "partial_rotary_factor"} & rope.keys()
        scaling = {key: rope[key] for key in kept} | edits.rope_scaling.model_dump(
            exclude_none=True
        )
        _say(recipe, "rope_scaling", rope, scaling)
        text.rope_parameters = scaling
    try:
        text.standardize_rope_params()
        text.validate_rope()
    except (KeyError, TypeError, ValueError) as error:
        where = recipe.where("model", "edits")
        raise UsageError(f"transformers refuses {where}: {' '.join(str(error).split())}") from error


def kept(recipe: Recipe) -> bool:
    """Whether the policy's config differs from that of the weights it was made from."""
    adapter = stored_adapter(recipe.model.name, recipe.model.revision)
    return bool(recipe.model.edits or (adapter and adapter.edited_config))


def _rotary(config: Any, recipe: Recipe, key: str) -> dict[str, Any]:
    """The config's one set of rotary parameters."""
    rope = getattr(config, "rope_parameters", None)
    if not rope:
        raise _without(recipe, key, "has no rotary positions; others are weights and cannot grow")
    if "rope_type" not in rope:
        raise _without(recipe, key, f"has one rotary embedding for each of {', '.join(rope)}")
    return dict(rope)


def _without(recipe: Recipe, key: str, why: str) -> UsageError:
    where = recipe.where("model", "edits", key)
    return UsageError(f"{where}: model {recipe.model.name!r} {why}")


def _say(recipe: Recipe, key: str, before: Any, after: Any) -> None:
    log.info("edited %s of %s: %s -> %s", key, recipe.model.name, before, after)
