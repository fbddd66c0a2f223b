"""A whole recipe: every key, its type, range and default."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PrivateAttr, model_validator

from r1cli.recipe.dataset import Dataset
from r1cli.recipe.model import Model
from r1cli.recipe.parts import Component, Strict
from r1cli.source import Source

SEEDS = 2**32
"""As many as numpy takes."""


class RewardTerm(Component):
    """`seconds` is the time limit of one call where it differs from `scoring.seconds`."""

    weight: float = Field(default=1.0, allow_inf_nan=False)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Scoring(Strict):
    """What one call of a reward may take; limits hold in each worker process.

    `workers` defaults to this rank's share of the CPUs, at most 8. `concurrency` bounds the calls
    of `async def` rewards that are under way together.
    """

    seconds: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    memory_gb: float = Field(default=4.0, ge=0.25, allow_inf_nan=False)
    retries: int = Field(default=1, ge=0)
    workers: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=32, ge=1)


class Trainer(Strict):
    """`args` go to the trainer's own config class under its names (TRL's, for sft and grpo)."""

    name: str | None = None
    args: dict[str, Any] = {}


class Batch(Strict):
    """What one optimizer step learns from; micro-batch and accumulation are derived from it."""

    prompts_per_step: int | None = Field(default=None, ge=1)
    group_size: int | None = Field(default=None, ge=1)
    micro_batch: int | None = Field(default=None, ge=1)


class Launch(Component):
    """`threads` bounds the CPU threads of each process; unset leaves torch its own choice."""

    name: str = "local"
    accelerator: str = "single"
    processes: int = Field(default=1, ge=1)
    threads: int | None = Field(default=None, ge=1)


class Vllm(Strict):
    """`extra` are options of vLLM's engine beside those that `trainer.args` has."""

    extra: dict[str, Any] = {}


class BenchmarkRun(Component):
    """A benchmark on the final policy, or with `every: n` on each n-th checkpoint, too.

    `args` override its sampling and its dataset's arguments; `limit` takes the first problems only;
    `data` is a local copy of its problems. `prompt`, `system_prompt`, `scorer` and `columns`
    (wanted names to present ones) replace its own, and `prefill` is what every answer is made to
    begin with. `engine` samples; with `launch`, in a job of its own that a launcher starts while
    training goes on. Training stops early after `patience` checkpoints in a row without a better
    score.
    """

    limit: int | None = Field(default=None, ge=1)
    data: str | None = None
    prompt: str | None = None
    system_prompt: str | None = None
    scorer: Component | None = None
    columns: dict[str, str] = {}
    prefill: str | None = None
    engine: Component = Component(name="transformers")
    launch: Component | None = None
    every: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _patience_needs_every(self) -> BenchmarkRun:
        if self.patience is not None and self.every is None:
            raise ValueError("patience counts checkpoints: say every, too")
        if self.patience is not None and self.launch is not None:
            raise ValueError(
                "patience needs each score before training goes on, and launch does not wait: "
                "leave out one of them"
            )
        return self


class Hub(Strict):
    """Where a finished run is pushed to, as `r1 push` does it; never on by default."""

    repo: str
    private: bool = True
    checkpoints: bool = False
    rollouts: bool = False
    eval: bool = False


class Recipe(Strict):
    """Everything a run is defined by; it stops past `max_failures` samples a reward failed on."""

    name: str | None = None
    seed: int = Field(default=0, ge=0, lt=SEEDS)
    model: Model
    dataset: Dataset
    system_prompt: str | None = None
    rewards: list[RewardTerm] = []
    code: Component = Component(name="local")
    scoring: Scoring = Scoring()
    max_failures: int = Field(default=1000, ge=0)
    trainer: Trainer
    batch: Batch = Batch()
    vllm: Vllm = Vllm()
    launch: Launch = Launch()
    callbacks: list[Component] = [Component(name="console")]
    benchmarks: list[BenchmarkRun] = []
    hub: Hub | None = None
    _source: Source | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _curriculum_goes_by_a_reward(self) -> Recipe:
        asked = self.dataset.curriculum
        if asked and asked.reward is None and not self.rewards:
            raise ValueError(
                "dataset.curriculum needs reward: the recipe has none to read judgements of"
            )
        return self

    def where(self, *key: str | int) -> str:
        """A key for an error message: `rewards.0.name (grpo.yaml:14)`."""
        dotted = ".".join(map(str, key))
        return f"{dotted} ({self._source.at(key)})" if self._source else dotted


class Stage(Strict):
    """One stage of a pipeline: a recipe, and what is different in it here."""

    recipe: str
    set: dict[str, Any] = {}


class Pipeline(Strict):
    """Several recipes in a row; each but the first starts from the checkpoint before it."""

    name: str | None = None
    seed: int = Field(default=0, ge=0, lt=SEEDS)
    stages: list[Stage] = Field(min_length=1)
    benchmarks: list[BenchmarkRun] = []
