"""LoRA and QLoRA: which parameters are trained, and in how many bytes the frozen ones are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from r1cli.adapters import stored_adapter
from r1cli.errors import UsageError
from r1cli.planning.architecture import Architecture
from r1cli.recipe import Recipe

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
    magnitudes: int = 0  # of one layer's outputs under DoRA


def adapter_of(recipe: Recipe, model: Architecture) -> Adapter | None:
    """The adapter a recipe trains, new or on disk; None where it trains every weight."""
    wanted = recipe.model.adapter
    stored = stored_adapter(recipe.model.name, recipe.model.revision)
    if stored:
        rank, dora = int(stored.settings["r"]), bool(stored.settings.get("use_dora"))
        named: str | Iterable[str] = stored.settings["target_modules"]
        whole = stored.settings.get("modules_to_save") or []
    elif wanted:
        rank, dora, named, whole = wanted.rank, wanted.dora, wanted.targets, wanted.modules_to_save
    else:
        return None
    shapes = linear_layers(model)
    # peft keeps `all-linear` as whole paths, one for every layer.
    targets = list(shapes) if named == "all-linear" else [n.rpartition(".")[2] for n in named]
    targets = list(dict.fromkeys(targets))
    unknown = [name for name in targets if name not in shapes]
    if unknown:
        raise UsageError(
            f"{recipe.where('model', 'adapter', 'targets')}: {unknown[0]!r} is no linear layer of "
            f"{model.model_type}; known: {', '.join(shapes)}, or all-linear"
        )
    magnitudes = sum(shapes[name][1] for name in targets) if dora else 0
    each = rank * sum(sum(shapes[name]) for name in targets) + magnitudes
    ends = {"embed_tokens": model.embedding, "lm_head": model.head or model.embedding}
    trained = model.layers * each + sum(ends.get(name, 0) for name in whole)
    bits = {"4bit": 4, "8bit": 8, None: None}[wanted.quantize if wanted else None]
    return Adapter(rank, trained, tuple(targets), bits, magnitudes)


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
