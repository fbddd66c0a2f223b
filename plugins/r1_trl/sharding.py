"""What TRL needs where ranks share out the model itself: ZeRO-2, ZeRO-3 and FSDP2.

Most of it is about CPU ranks, on which the strategies are tested: there both libraries fall back to
something else without a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from r1cli import R1Error, Recipe, UsageError

SHARED = {
    "zero2": ("DEEPSPEED", 2),
    "zero2_offload": ("DEEPSPEED", 2),
    "zero3": ("DEEPSPEED", 3),
    "zero3_offload": ("DEEPSPEED", 3),
    "fsdp": ("FSDP", 2),
}
"""Strategy to what accelerate must say of itself, with the stage or version."""


def prepare(config: Any) -> None:
    """Keep FSDP and DeepSpeed at work on CPU ranks; `config` has just met the other ranks."""
    if config.device.type != "cpu":
        return
    if _wanted("ACCELERATE_USE_FSDP"):
        from accelerate import PartialState
        from accelerate.utils import DistributedType

        # accelerate 1.15 takes FSDP for plain data parallel where this is MULTI_CPU. The device
        # and the gloo group are settled by now, and stay.
        if PartialState._shared_state["distributed_type"] == DistributedType.MULTI_CPU:
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    if _wanted("ACCELERATE_USE_DEEPSPEED"):
        import deepspeed.ops

        # An operator for shared memory that would be compiled at first use, for nothing.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def check(trainer: Any, recipe: Recipe) -> None:
    """Raise unless the trainer shares out what the recipe says that it should."""
    name, started = recipe.launch.accelerator, trainer.accelerator.num_processes
    if started != trainer.args.world_size:
        raise R1Error(f"launch.processes is {recipe.launch.processes}, {started} were started")
    if name not in SHARED:
        return
    if "R1_LAUNCHED" not in os.environ:
        raise UsageError(
            f"{recipe.where('launch', 'accelerator')} = {name!r} shares the model among ranks, but "
            f"launch.processes is {recipe.launch.processes}; set it to the number of GPUs"
        )
    state = trainer.accelerator.state
    found = state.distributed_type.name
    if found == "DEEPSPEED":
        number = state.deepspeed_plugin.zero_stage
    else:
        number = getattr(getattr(state, "fsdp_plugin", None), "fsdp_version", 0)
    if (found, number) != SHARED[name]:
        raise R1Error(f"launch.accelerator is {name!r}, but accelerate runs {found} {number}")


def describe(model: Any) -> str:
    """How much of the weights this rank holds, and as what."""
    kinds = {type(p.data).__name__ for p in model.parameters()}
    whole = sum(getattr(p, "ds_numel", p.numel()) for p in model.parameters())
    mine = sum(_local(p) for p in model.parameters())
    return f"{mine} of {whole} parameters on this rank, as {', '.join(sorted(kinds))}"


@contextmanager
def whole_model(trainer: Any) -> Iterator[Any]:
    """The model, fit to generate with. Every rank must enter, and generate the same."""
    from trl.models import unwrap_model_for_generation

    with unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model:
        yield model


def is_shared(trainer: Any) -> bool:
    """Whether no rank can use the model by itself."""
    return trainer.is_fsdp_enabled or (
        trainer.is_deepspeed_enabled and trainer.accelerator.state.deepspeed_plugin.zero_stage == 3
    )


def release() -> None:
    """Let models that are loaded from here on be whole: ZeRO-3 would share them out as well."""
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()


def _local(parameter: Any) -> int:
    if hasattr(parameter, "ds_tensor"):
        return int(parameter.ds_tensor.numel())
    local = parameter.to_local() if hasattr(parameter, "to_local") else parameter
    return int(local.numel())


def _wanted(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"
