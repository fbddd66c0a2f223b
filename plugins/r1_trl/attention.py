"""Which implementation of attention the policy is trained with, and what packing costs with it."""

from __future__ import annotations

import logging
from typing import Any

from r1cli import Recipe

log = logging.getLogger("r1cli.policy")


def options(recipe: Recipe) -> dict[str, Any]:
    """`attn_implementation` for `from_pretrained`, where the recipe says `model.attention`.

    A flash attention that cannot run here becomes `sdpa`, with a line that says why.
    """
    wanted = recipe.model.attention
    chosen = wanted
    if wanted and wanted.startswith("flash") and (reason := _lacking(wanted)):
        chosen = "sdpa"
        where = recipe.where("model", "attention")
        log.warning("%s = %s falls back to sdpa: %s", where, wanted, reason)
    _say_packing(recipe, chosen or "sdpa")
    return {"attn_implementation": chosen} if chosen else {}


def _lacking(flash: str) -> str | None:
    """Why a flash attention cannot run here; None where it can."""
    import torch
    from transformers.utils import (
        is_flash_attn_2_available,
        is_flash_attn_3_available,
        is_kernels_available,
    )

    if not torch.cuda.is_available():
        return "there is no GPU"
    found = is_flash_attn_2_available if flash.endswith("2") else is_flash_attn_3_available
    # transformers takes the same kernels from the package `kernels` where flash-attn is missing.
    if found() or is_kernels_available():
        return None
    return "neither flash-attn nor kernels is installed for this GPU"


def _say_packing(recipe: Recipe, chosen: str) -> None:
    """Packed texts are kept apart by their positions, except under TRL's `wrapped` strategy.

    transformers makes a mask of positions that begin anew (`masking_utils`), so they are apart
    with every implementation; only flash attention does without the mask.
    """
    args = recipe.trainer.args
    if not args.get("packing"):
        return
    if args.get("packing_strategy") == "wrapped":
        where = recipe.where("trainer", "args", "packing_strategy")
        log.warning("%s = wrapped: packed texts read each other; bfd keeps them apart", where)
    elif not chosen.startswith("flash"):
        log.info(
            "packed texts are kept apart by a mask as wide and high as a micro-batch has tokens "
            "(%s); flash_attention_2 needs none",
            chosen,
        )
