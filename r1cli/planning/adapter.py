"""LoRA and QLoRA: which parameters are trained, and in how many bytes the frozen ones are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from r1cli.errors import UsageError
from r1cli.planning.architecture import Architecture
from r1cli.recipe import Recipe

PLACES = ("adapter", "lora", "peft")
"""Names under which an adapter's settings may stand, at the top, under model or under trainer."""

NF4 = 0.516
"""Bytes of a weight in bitsandbytes' 4-bit format: 4 bits, and block scales quantised twice
(QLoRA, arXiv:2305.14314, section 3: 0.127 bits)."""


@dataclass(frozen=True)
class Adapter:
    """`trained` is the count of trainable parameters, all kept in float32 as peft does."""

    rank: int
    trained: int
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    bits: int | None = None  # of the frozen linear layers, where they are quantised


def adapter_of(recipe: Recipe, model: Architecture) -> Adapter | None:
    """The adapter a recipe trains, or None where it trains every weight."""
    given = _settings(recipe)
    if not given:
        return None
    rank = next((given[k] for k in ("r", "rank", "lora_r") if k in given), 8)
    shapes = linear_layers(model)
    targets = given.get("target_modules") or given.get("targets") or ["q_proj", "v_proj"]
    if targets in ("all-linear", ["all-linear"]):
        targets = list(shapes)
    unknown = [name for name in targets if name not in shapes]
    if unknown:
        raise UsageError(
            f"the adapter's target {unknown[0]!r} is no linear layer of {model.model_type}; "
            f"known: {', '.join(shapes)}, or all-linear"
        )
    per_layer = sum(rank * sum(shapes[name]) for name in targets)
    bits = next((given[k] for k in ("bits", "quantize", "quantise") if given.get(k)), None)
    if given.get("load_in_4bit") or given.get("quantization") or bits is True:
        bits = 4
    if given.get("load_in_8bit"):
        bits = 8
    return Adapter(rank, model.layers * per_layer, tuple(targets), int(bits) if bits else None)


def frozen_bytes(adapter: Adapter, model: Architecture, each: int) -> float:
    """Bytes of the frozen weights, `each` bytes where they are not quantised."""
    if adapter.bits is None:
        return model.parameters * each
    plain = model.embedding + model.head
    width = NF4 if adapter.bits == 4 else adapter.bits / 8
    return plain * each + (model.parameters - plain) * width


def linear_layers(model: Architecture) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of the linear layers of one dense block."""
    h, q, kv, i = model.hidden, model.q_width, model.kv_width, model.intermediate
    return {
        "q_proj": (h, q),
        "k_proj": (h, kv),
        "v_proj": (h, kv),
        "o_proj": (q, h),
        "gate_proj": (h, i),
        "up_proj": (h, i),
        "down_proj": (i, h),
    }


def _settings(recipe: Recipe) -> Mapping[str, Any]:
    data = recipe.model_dump()
    for part in (data, data["model"], data["model"]["args"], data["trainer"], data["launch"]):
        for place in PLACES:
            value = part.get(place)
            if isinstance(value, Mapping) and value:
                return {**value, **(value.get("args") or {})}
    return {}
