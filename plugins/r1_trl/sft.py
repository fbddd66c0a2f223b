"""Supervised fine-tuning: the cold start, or the distillation of a stronger model's traces."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1_trl import adapter, arguments, callback, policy, prompts, sharding
from r1_trl.endings import align_endings, stop_rate
from r1_trl.learned_text import say_learned
from r1_trl.order import in_order
from r1cli import BatchPlan, BoundReward, Recipe, Run, UsageError

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger("r1cli.sft")


def sft(
    recipe: Recipe,
    run: Run,
    *,
    dataset: Dataset,
    rewards: list[BoundReward],
    callbacks: list[Any],
    held_out: Dataset | None = None,
) -> Path:
    """Train on completions or on whole conversations, then check that the policy stops.

    Columns: `prompt` and `completion`, or `messages`. With `prompt` and `completion` the loss is
    on the completion alone, its end-of-turn token included; with `messages` on every token, as
    TRL's `assistant_only_loss` is off unless asked for. `held_out` has the same columns; its loss
    and token accuracy are logged as `eval_loss` and `eval_mean_token_accuracy`.
    """
    arguments.require_trl()
    config = _config(recipe, run.checkpoints)
    batch = plan(recipe)
    if batch:
        log.info("batch: %s", batch)
    tokenizer = policy.tokenizer_of(recipe)
    model = policy.model_of(recipe)
    align_endings(model, tokenizer, recipe.where("model", "chat_template"))
    rows = _rows(dataset, recipe, tokenizer)
    with arguments.refusals(recipe):
        trainer = _trainer_class()(
            model=model,
            args=config,
            train_dataset=rows,
            eval_dataset=None if held_out is None else _rows(held_out, recipe, tokenizer),
            processing_class=tokenizer,
            peft_config=adapter.peft_config(recipe, model),
            callbacks=callbacks,
        )
    sharding.check(trainer, recipe)
    main = trainer.accelerator.is_main_process
    if main:
        say_learned(trainer, rows, recipe)
    callback.train(trainer, run)
    if main or sharding.is_shared(trainer):
        with sharding.whole_model(trainer) as whole:
            rate, tried = stop_rate(whole, tokenizer, rows, seed=recipe.seed)
    if main:
        run.record(stop_rate=rate)
        say = log.info if rate >= 0.5 else log.warning
        say("smoke generation: %.0f %% of %d completions stop by themselves", 100 * rate, tried)
    policy.save(trainer, tokenizer, run)
    return run.model


def check(recipe: Recipe) -> None:
    """The parts of an SFT recipe that can be known wrong before a model is loaded."""
    if recipe.rewards:
        raise UsageError(f"{recipe.where('rewards')}: sft uses no rewards; leave them out")
    plan(recipe)  # arithmetic first: importing TRL takes seconds
    adapter.check(recipe)
    arguments.require_trl()
    _config(recipe, Path("check"))


def plan(recipe: Recipe) -> BatchPlan | None:
    """How prompts per step become micro-batches; a group has one completion here."""
    if recipe.batch.group_size not in (None, 1):
        raise UsageError(f"{recipe.where('batch', 'group_size')}: sft has no groups; leave it out")
    return arguments.plan(recipe, 1)


sft.check = check  # type: ignore[attr-defined]
sft.plan = plan  # type: ignore[attr-defined]
sft.short = arguments.short  # type: ignore[attr-defined]


def _config(recipe: Recipe, output: Path) -> Any:
    from trl import SFTConfig

    batch = plan(recipe)
    derived: dict[str, Any] = {}
    if batch:
        derived = {
            "per_device_train_batch_size": batch.micro_batch,
            "per_device_eval_batch_size": batch.micro_batch,
            "gradient_accumulation_steps": batch.accumulation,
        }
    derived |= in_order(recipe, train_sampling_strategy="sequential", shuffle_dataset=False)
    if recipe.trainer.args.get("packing_strategy") != "wrapped":  # the others pack by what fits
        derived |= in_order(recipe, packing=False)
    return arguments.build(SFTConfig, recipe, output, **derived)


def _trainer_class() -> type:
    from trl import SFTTrainer

    from r1_trl.resume import Resumable

    return type("Trainer", (Resumable, SFTTrainer), {})


def _rows(dataset: Dataset, recipe: Recipe, tokenizer: Any) -> Dataset:
    """Only the columns that TRL trains on, as chat messages."""
    columns = dataset.column_names
    if "messages" in columns:
        if "prompt" in columns and "completion" in columns:
            dataset = dataset.remove_columns("messages")
        else:
            rows, system = dataset.select_columns(["messages"]), recipe.system_prompt
            if not system:
                return rows
            return rows.map(lambda row: {"messages": prompts.as_messages(row["messages"], system)})
    if "completion" not in columns:
        raise UsageError(
            f"sft wants the columns prompt and completion, or messages; the dataset has "
            f"{', '.join(columns)}; rename with {recipe.where('dataset', 'columns')}"
        )
    rows = prompts.prepare(
        dataset.select_columns([c for c in ("prompt", "completion") if c in columns]),
        recipe,
        tokenizer,
        room=None,
        template={},
    )
    return rows.map(
        lambda row: {
            "completion": row["completion"]
            if not isinstance(row["completion"], str)
            else [{"role": "assistant", "content": row["completion"]}]
        }
    )
