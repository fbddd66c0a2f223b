"""A recipe's `trainer.args` as TRL's own config object, checked field by field.

The names are TRL's, verbatim. What r1 derives (directories, batch sizes where `batch` is used) may
not be given twice; what a machine without a GPU needs is a default that the recipe can override.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

from r1_trl import sharding
from r1cli import BatchPlan, Recipe, UsageError, one_line, require, solve, suggest

OWNED = {
    "output_dir": "it is the run directory",
    "seed": "say seed at the top of the recipe",
    "data_seed": "say seed at the top of the recipe",
    "resume_from_checkpoint": "a run goes on by itself; --fresh starts anew",
    "run_name": "say name at the top of the recipe",
    "reward_weights": "say weight beside each reward",
    "push_to_hub": "nothing is pushed by training",
    "enable_jit_checkpoint": "a run that is told to stop always saves first",
    "load_best_model_at_end": "the policy is that of the last step",
}
BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps", "generation_batch_size")


def plan(recipe: Recipe, group_size: int) -> BatchPlan | None:
    """The batch plan of a recipe that says prompts per step; None where it gives TRL's own keys."""
    batch = recipe.batch
    if batch.prompts_per_step is None:
        if batch.micro_batch or batch.group_size:
            raise UsageError(
                f"{recipe.where('batch')} needs prompts_per_step; "
                "micro-batch and accumulation are derived from it"
            )
        return None
    twice = [key for key in BATCH if key in recipe.trainer.args]
    if twice:
        raise UsageError(
            f"{recipe.where('trainer', 'args', twice[0])} is derived from batch; "
            "give one or the other"
        )
    return solve(
        batch.prompts_per_step,
        group_size=group_size,
        processes=recipe.launch.processes,
        micro_batch=batch.micro_batch,
        where=recipe.where("batch"),
    )


def build(config: type, recipe: Recipe, output: Path, **derived: Any) -> Any:
    """`config(...)` from the recipe. Raises UsageError with the key at fault."""
    import dataclasses

    import torch

    if "R1_LAUNCHED" not in os.environ and recipe.launch.processes > 1:
        config = _of_every_rank(config, recipe.launch.processes)
    names = {field.name for field in dataclasses.fields(config)}
    hints = get_type_hints(config)
    args = dict(recipe.trainer.args)
    for name, value in recipe.trainer.args.items():
        where = recipe.where("trainer", "args", name)
        if name in OWNED:
            raise UsageError(f"{where} is set by r1: {OWNED[name]}")
        if name not in names:
            raise UsageError(
                f"{config.__name__} has no field {name!r}, {where}; {_near(name, names)}"
            )
        args[name] = _typed(value, hints[name], where)
    machine: dict[str, Any] = {}
    if not torch.cuda.is_available():
        # bf16 autocast and recomputed activations only slow a CPU down.
        machine = {
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "dataloader_pin_memory": False,
        }
    ours = {
        "report_to": "none",
        "logging_steps": 1,
        "disable_tqdm": True,
        "include_num_input_tokens_seen": "no",
        "save_total_limit": 2,
        "ddp_find_unused_parameters": False,
    }
    merged = {**machine, **ours, **_evaluation(recipe), **derived, **args}
    try:
        built = config(output_dir=str(output), seed=recipe.seed, **merged)
    except (TypeError, ValueError) as error:
        where = recipe.where("trainer", "args")
        raise UsageError(f"{config.__name__} refuses {where}: {one_line(error)}") from error
    if "R1_LAUNCHED" in os.environ and built.world_size != recipe.launch.processes:
        raise UsageError(
            f"{recipe.where('launch', 'processes')} = {recipe.launch.processes}, but "
            f"{built.world_size} were started; the launcher {recipe.launch.name!r} is at fault"
        )
    sharding.prepare(built)
    return built


@contextmanager
def refusals(recipe: Recipe) -> Iterator[None]:
    """What a TRL trainer, constructed in here, refuses of its arguments, in one line."""
    try:
        yield
    except ValueError as error:
        where = recipe.where("trainer", "args")
        raise UsageError(f"TRL refuses {where}: {one_line(error)}") from error


def _evaluation(recipe: Recipe) -> dict[str, Any]:
    """When rows that are held out are evaluated, unless the recipe says: with each checkpoint."""
    args = recipe.trainer.args
    saving = args.get("save_strategy", "steps")
    if saving == "best":
        where = recipe.where("trainer", "args", "save_strategy")
        raise UsageError(f"{where} = 'best': a run could not go on from its last step; say steps")
    if recipe.dataset.test_split_size is None:
        if args.get("eval_strategy", "no") != "no":
            raise UsageError(
                f"{recipe.where('trainer', 'args', 'eval_strategy')} = {args['eval_strategy']!r} "
                "has no rows to evaluate; hold some out with dataset.test_split_size"
            )
        return {}
    strategy = "epoch" if saving == "no" else saving
    return {"eval_strategy": strategy, "eval_steps": args.get("save_steps", 500)}


def short(steps: int, checkpoint: int) -> dict[str, Any]:
    """What makes a run `steps` long, with a checkpoint at step `checkpoint`.

    Logging every other step leaves a checkpoint at an odd one with a loss not yet logged.
    """
    saved = {"save_strategy": "steps", "save_steps": checkpoint, "save_total_limit": None}
    return {"max_steps": steps, "logging_strategy": "steps", "logging_steps": 2, **saved}


def _of_every_rank(config: type, processes: int) -> type:
    """`config` as it will be in the ranks that are still to start: TRL divides by their number."""
    return type(config.__name__, (config,), {"world_size": property(lambda _: processes)})


def _near(name: str, names: set[str]) -> str:
    hint = suggest(name, names)
    return hint if hint.startswith("did you mean") else "see TRL's documentation of its fields"


def _typed(value: Any, hint: Any, where: str) -> Any:
    """The value in its field's type, a quoted "1e-6" as a number.

    TRL's configs are plain dataclasses, which take any value of any type without a word.
    """
    from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

    try:
        return TypeAdapter(hint).validate_python(value)
    except PydanticSchemaGenerationError:
        return value
    except ValidationError as error:
        wanted = " or ".join(sorted({p["msg"].lower() for p in error.errors()}))
        raise UsageError(f"{where} = {value!r}: {wanted}") from error


def require_trl() -> None:
    """Raise MissingExtra unless TRL can be imported, and keep it quiet and offline-friendly."""
    import warnings

    require("train", "torch", "transformers", "trl", "datasets", "accelerate")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    warnings.filterwarnings("ignore", message="TRL currently supports vLLM")
    import torch

    # Where DeepSpeed is installed it looks for a device, and says so on stdout.
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
