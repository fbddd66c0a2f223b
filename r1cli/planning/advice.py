"""Which knob to turn: recipe values that are changed, and the plan computed anew for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from r1cli.errors import UsageError
from r1cli.planning.setup import Setup
from r1cli.recipe import Recipe
from r1cli.recipe_file import recipes_folder

WORTH = 0.01
"""The least share of the peak that a knob must save to be named."""


@dataclass(frozen=True)
class Knob:
    """Recipe keys with new values; `harm` is 0 where the same is learnt, else more is lost."""

    values: dict[str, Any]
    cost: str
    harm: int


@dataclass(frozen=True)
class Weighed:
    """A recipe's peak in bytes, whether it fits, and whether vLLM can start in its share."""

    peak: float
    fits: bool
    starts: bool


@dataclass(frozen=True)
class Advice:
    """A knob, what it saves in bytes beside those before it, and what comes of all of them."""

    knob: Knob
    saves: float
    after: Weighed

    @property
    def assignment(self) -> str:
        return " ".join(f"--set {key}={_yaml(value)}" for key, value in self.knob.values.items())


Weigh = Callable[[Recipe], Weighed]


def advise(recipe: Recipe, offered: list[Knob], weigh: Weigh, *, first: int = 3) -> list[Advice]:
    """The first knobs to turn, in this order: harmless before harmful, then by what they save."""
    advice: list[Advice] = []
    now = weigh(recipe)
    while len(advice) < first:
        tried = []
        for knob in offered:
            try:
                after = weigh(changed(recipe, knob.values))
            except UsageError:  # a batch that does not divide, say
                continue
            helps = now.peak - after.peak > WORTH * now.peak or not now.starts
            if after.starts and helps:
                tried.append(Advice(knob, now.peak - after.peak, after))
        if not tried:
            break
        best = min(tried, key=lambda item: (item.knob.harm, -item.saves))
        recipe, now = changed(recipe, best.knob.values), best.after
        offered = [knob for knob in offered if not knob.values.keys() & best.knob.values.keys()]
        advice.append(best)
    return advice


def knobs(recipe: Recipe, setup: Setup, gpus: int) -> Iterator[Knob]:
    """Every change worth trying on this setup, where a node has that many GPUs."""
    args, gpu = "trainer.args", setup.device == "cuda"
    micro, steps = setup.batch.micro_batch, setup.batch.accumulation
    if micro > 1:
        half = max(n for n in range(1, micro // 2 + 1) if micro % n == 0)
        if recipe.batch.prompts_per_step:
            values: dict[str, Any] = {"batch.micro_batch": half}
        else:
            values = {
                f"{args}.per_device_train_batch_size": half,
                f"{args}.gradient_accumulation_steps": steps * micro // half,
            }
        yield Knob(values, "more, smaller micro-batches", 0)
    if not setup.checkpointing:
        values = {f"{args}.gradient_checkpointing": True}
        yield Knob(values, "a third more computing", 0)
    name = setup.strategy.name
    if setup.ranks == 1 and gpus > 1:
        values = {"launch.processes": gpus, "launch.accelerator": "zero3"}
        yield Knob(values, "all of the node's GPUs", 0)
    else:
        for stronger in {"ddp": ("zero2", "zero3"), "zero2": ("zero3",)}.get(name, ()):
            yield Knob({"launch.accelerator": stronger}, "more communication", 0)
    for file in sorted((recipes_folder() / "accelerate").glob("zero*offload*.yaml")):
        if gpu and name in ("zero2", "zero3") and file.stem.startswith(name):
            yield Knob({"launch.accelerator": file.stem}, "state in host memory, slower steps", 0)
    sampler = setup.sampler
    if sampler and sampler.kind == "generate" and sampler.rows > micro:
        fewer = sampler.rows // micro // 2
        if fewer and steps % fewer == 0:
            yield Knob({f"{args}.steps_per_generation": fewer}, "smaller rounds of sampling", 0)
    if sampler and sampler.kind == "colocate":
        if not sampler.sleep:
            yield Knob({f"{args}.vllm_enable_sleep_mode": True}, "vLLM is woken every step", 0)
        share = f"{args}.vllm_gpu_memory_utilization"
        yield Knob({share: round(sampler.memory - 0.1, 2)}, "less key-value cache", 0)
        for more in (0.1, 0.2, 0.3, 0.4):  # where vLLM cannot start
            yield Knob({share: round(sampler.memory + more, 2)}, "more for vLLM", 0)
        for parallel in (2, 4, 8):
            values = {f"{args}.vllm_tensor_parallel_size": parallel}
            yield Knob(values, "vLLM's ranks wait for one another", 0)
    if setup.loaded == 4 and gpu:
        yield Knob({"model.dtype": "bfloat16"}, "coarser weights", 1)
    if gpu and setup.optimizer.startswith("adamw_torch"):
        yield Knob({f"{args}.optim": "adamw_8bit"}, "8-bit moments, by bitsandbytes", 1)
    if setup.reference:
        yield Knob({f"{args}.beta": 0.0}, "no KL term, no reference model", 2)
    key = "max_completion_length" if setup.trainer == "grpo" else "max_length"
    if setup.scored >= 512:
        yield Knob({f"{args}.{key}": setup.scored // 2}, "longer texts are cut", 3)


def changed(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with dotted keys set."""
    data = recipe.model_dump()
    for dotted, value in values.items():
        *path, last = dotted.split(".")
        place = data
        for part in path:
            place = place[part]
        place[last] = value
    new = Recipe.model_validate(data)
    new._source = recipe._source
    return new


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
