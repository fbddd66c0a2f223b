"""What of a recipe decides memory, as plain numbers: precision, sharding, batch, lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from r1cli.batch import BatchPlan
from r1cli.errors import UsageError
from r1cli.planning.adapter import Adapter, adapter_of
from r1cli.planning.architecture import Architecture
from r1cli.planning.strategy import Strategy, strategy_of
from r1cli.recipe import Recipe

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number of a dtype that weights are kept in."""

PROMPT_TOKENS = 512
"""Assumed length of a GRPO prompt: TRL 1.16 bounds completions, not prompts."""


@dataclass(frozen=True)
class Sampler:
    """Where completions come from. Lengths in tokens, `memory` as vLLM's share of a device."""

    kind: Literal["generate", "colocate", "server"]
    rows: int  # completions that one rank asks for at once
    length: int  # prompt and completion
    tensor_parallel: int = 1
    memory: float = 0.3
    sleep: bool = False


@dataclass(frozen=True)
class Setup:
    """One rank's job. Byte sizes are of single numbers, lengths in tokens."""

    trainer: str
    device: Literal["cpu", "cuda"]
    ranks: int
    strategy: Strategy
    loaded: int  # bytes of a weight as loaded
    bf16: bool  # matrix products in bfloat16
    optimizer: str
    checkpointing: bool
    attention: str
    batch: BatchPlan
    length: int
    scored: int  # tokens of a row that the head scores
    reference: bool
    adapter: Adapter | None
    sampler: Sampler | None
    gathers_to_sample: bool = True  # ZeRO-3 collects the whole model for model.generate

    @property
    def tokens(self) -> int:
        """Of one micro-batch, padding included."""
        return self.batch.micro_batch * self.length

    @property
    def padded(self) -> bool:
        """Rows of one micro-batch differ in length, so attention gets a mask."""
        return self.batch.micro_batch > 1 and not self.attention.startswith("flash")

    @property
    def weight(self) -> int:
        """Bytes of a trained weight while training."""
        if self.strategy.engine == "deepspeed":
            return 2 if self.bf16 else 4
        if self.strategy.engine == "fsdp" and self.bf16:
            return 4  # accelerate keeps fp32 masters and casts on gathering
        return self.loaded

    @property
    def compute(self) -> int:
        """Bytes of an activation between matrix products."""
        return 2 if self.bf16 else self.loaded

    @property
    def autocast(self) -> bool:
        """float32 weights, cast to bfloat16 at every use."""
        return self.strategy.engine == "torch" and self.bf16 and self.loaded == 4


def read(
    recipe: Recipe,
    model: Architecture,
    batch: BatchPlan,
    *,
    device: Literal["cpu", "cuda"] = "cuda",
    prompt_tokens: int = PROMPT_TOKENS,
) -> Setup:
    """The setup a recipe describes, with the defaults of r1 and TRL 1.16 on that device."""
    args, gpu = recipe.trainer.args, device == "cuda"
    grpo = trainer_of(recipe) == "grpo"
    if grpo:
        scored = number(recipe, "max_completion_length", 256)
        # r1 leaves out prompts that the model's positions have no room for beside a completion.
        length = scored + min(prompt_tokens, max(1, (model.positions or 2**30) - scored))
    else:
        whole = "max_length" in args and args["max_length"] is None
        length = (model.positions or 1024) if whole else number(recipe, "max_length", 1024)
        scored = length
    dtype = recipe.model.dtype
    if dtype == "auto":
        dtype = model.dtype if gpu and model.dtype in BYTES else "float32"  # type: ignore[assignment]
    bf16 = args.get("bf16")
    if bf16 is None:
        bf16 = gpu and not args.get("fp16")
    given = args.get("model_init_kwargs") or {}
    if not isinstance(given, Mapping):
        raise UsageError(f"{recipe.where('trainer', 'args', 'model_init_kwargs')} has no keys")
    return Setup(
        trainer=trainer_of(recipe),
        device=device,
        ranks=batch.processes,
        strategy=strategy_of(recipe),
        loaded=BYTES[dtype],
        bf16=bool(bf16 or args.get("fp16")),
        optimizer=str(args.get("optim", "adamw_torch_fused")),
        checkpointing=bool(args.get("gradient_checkpointing", gpu)),
        attention=_attention(recipe, given),
        batch=batch,
        length=length,
        scored=scored,
        reference=grpo and bool(args.get("beta")),
        adapter=adapter_of(recipe, model),
        sampler=_sampler(recipe, batch, length) if grpo else None,
        gathers_to_sample=bool(args.get("ds3_gather_for_generation", True)),
    )


def trainer_of(recipe: Recipe) -> str:
    """The trainer a recipe names, or the one its rewards imply."""
    name = recipe.trainer.name or ("grpo" if recipe.rewards else "sft")
    if name not in ("sft", "grpo"):
        raise UsageError(
            f"{recipe.where('trainer', 'name')} = {name!r}: r1 plan knows what sft and grpo keep "
            "in memory, not this trainer"
        )
    return name


def _attention(recipe: Recipe, given: Mapping[str, Any]) -> str:
    said = recipe.model.attention or given.get("attn_implementation")
    return str(said or "sdpa")


def number(
    recipe: Recipe, key: str, default: int, *, section: str = "trainer", least: int = 1
) -> int:
    """A whole number among a section's args. Raises UsageError where it is another thing."""
    value = getattr(recipe, section).args.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        where = recipe.where(section, "args", key)
        raise UsageError(f"{where} = {value!r} is no whole number of {least} or more")
    return value


def _share(recipe: Recipe) -> float:
    value = recipe.trainer.args.get("vllm_gpu_memory_utilization", 0.3)
    if not isinstance(value, int | float) or not 0 < value <= 1:
        where = recipe.where("trainer", "args", "vllm_gpu_memory_utilization")
        raise UsageError(f"{where} = {value!r} is no share between 0 and 1")
    return float(value)


def _sampler(recipe: Recipe, batch: BatchPlan, length: int) -> Sampler:
    args = recipe.trainer.args
    rows = _rows_at_once(recipe, batch)
    if not args.get("use_vllm"):
        return Sampler("generate", rows, length)
    return Sampler(
        kind="server" if args.get("vllm_mode", "colocate") == "server" else "colocate",
        rows=rows,
        length=number(recipe, "vllm_max_model_length", length),
        tensor_parallel=number(recipe, "vllm_tensor_parallel_size", 1),
        memory=_share(recipe),
        sleep=bool(args.get("vllm_enable_sleep_mode")),
    )


def _rows_at_once(recipe: Recipe, batch: BatchPlan) -> int:
    """Completions that TRL samples at once on a rank; of all ranks they must be whole groups."""
    rows = batch.micro_batch * number(recipe, "steps_per_generation", batch.accumulation)
    rows = number(recipe, "generation_batch_size", rows * batch.processes) // batch.processes
    if rows * batch.processes % batch.group_size:
        need = batch.group_size // math.gcd(batch.group_size, batch.micro_batch * batch.processes)
        raise UsageError(
            f"{recipe.where('trainer', 'args', 'steps_per_generation')}: {batch.processes} ranks "
            f"sample {rows} completions each at once, together no multiple of the group size "
            f"{batch.group_size}; a multiple of {need} would work"
        )
    return rows
