"""GRPO with verifiable rewards: from a recipe to TRL's trainer with all that it needs."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1_trl import adapter, arguments, callback, policy, prompts, sharding, vllm
from r1_trl.grpo_trainer import grpo_trainer
from r1_trl.order import in_order
from r1_trl.rewards import Reader, RewardName
from r1cli import (
    BatchPlan,
    BoundReward,
    Recipe,
    Run,
    Scorer,
    UsageError,
    prefill,
)

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger("r1cli.grpo")

DEFAULT_GROUP_SIZE = 8


def grpo(
    recipe: Recipe,
    run: Run,
    *,
    dataset: Dataset,
    rewards: list[BoundReward],
    callbacks: list[Any],
    held_out: Dataset | None = None,
) -> Path:
    """Reinforce what the rewards confirm (DeepSeekMath, arXiv:2402.03300, as TRL implements it).

    The rewards of prompts that are `held_out` are logged as `eval_reward`, `eval_rewards/*/mean`.
    """
    arguments.require_trl()
    config = _config(recipe, run.checkpoints)
    batch = plan(recipe)
    if batch:
        log.info("batch: %s", batch)
    _keep_groups_whole(config, rewards, recipe)
    tokenizer = policy.tokenizer_of(recipe)
    model = policy.model_of(recipe)
    template = config.chat_template_kwargs or {}
    context = policy.context_length(model)
    room = context - config.max_completion_length if context else None
    fit = partial(prompts.prepare, recipe=recipe, tokenizer=tokenizer, room=room, template=template)
    rows = fit(dataset)
    _check_enough(rows, config, recipe)

    eos = _end_at_all(model, tokenizer)
    opened = prefill(tokenizer, rows[0]["prompt"], **template)
    if opened:
        log.info("the chat template opens the completion with %r; rewards see it", opened)
    with (
        vllm.ours(recipe, model, run.directory / ".weights"),
        policy.with_reference(recipe),
        arguments.refusals(recipe),
    ):
        trainer = grpo_trainer()(
            model=model,
            reward_funcs=[RewardName(reward) for reward in rewards],
            args=config,
            train_dataset=rows,
            eval_dataset=None if held_out is None else fit(held_out),
            processing_class=tokenizer,
            peft_config=adapter.peft_config(recipe, model),
            callbacks=callbacks,
        )
    sharding.check(trainer, recipe)
    trainer.rollouts = run.directory / "rollouts"
    trainer.reader = Reader(lambda prompt: prefill(tokenizer, prompt, **template), eos)
    trainer.max_failures = recipe.max_failures
    folder = run.directory / "failures"
    with Scorer(rewards, limits=recipe.scoring, folder=folder) as trainer.scorer:
        callback.train(trainer, run)
    if trainer.use_vllm:
        trainer.vllm_generation.close()
    policy.save(trainer, tokenizer, run)
    return run.model


def check(recipe: Recipe) -> None:
    """The parts of a GRPO recipe that can be known wrong before a model is loaded."""
    if not recipe.rewards:
        raise UsageError(f"{recipe.where('rewards')} is empty; grpo learns from rewards, give one")
    plan(recipe)  # arithmetic first: importing TRL takes seconds
    adapter.check(recipe)
    arguments.require_trl()
    _config(recipe, Path("check"))


def plan(recipe: Recipe) -> BatchPlan | None:
    """How prompts per step and group size become micro-batches."""
    return arguments.plan(recipe, _group_size(recipe))


grpo.check = check  # type: ignore[attr-defined]
grpo.plan = plan  # type: ignore[attr-defined]
grpo.short = arguments.short  # type: ignore[attr-defined]


def _group_size(recipe: Recipe) -> int:
    given = recipe.trainer.args.get("num_generations")
    if given and recipe.batch.group_size and given != recipe.batch.group_size:
        raise UsageError(
            f"{recipe.where('trainer', 'args', 'num_generations')} = {given} contradicts "
            f"{recipe.where('batch', 'group_size')} = {recipe.batch.group_size}; give one"
        )
    size = recipe.batch.group_size or given or DEFAULT_GROUP_SIZE
    if not isinstance(size, int) or size < 2:
        where = recipe.where("batch", "group_size")
        raise UsageError(f"{where} = {size!r} cannot work: an advantage needs a group of 2 or more")
    return size


def _config(recipe: Recipe, output: Path) -> Any:
    from trl import GRPOConfig

    size = _group_size(recipe)
    batch = plan(recipe)
    derived: dict[str, Any] = {"num_generations": size}
    if batch:
        derived |= {
            "per_device_train_batch_size": batch.micro_batch,
            "per_device_eval_batch_size": _whole_groups(recipe, batch.micro_batch, size),
            "gradient_accumulation_steps": batch.accumulation,
        }
    derived["reward_weights"] = [reward.weight for reward in recipe.rewards]
    derived |= vllm.arguments(recipe) | in_order(recipe, shuffle_dataset=False)
    return arguments.build(GRPOConfig, recipe, output, **derived)


def _whole_groups(recipe: Recipe, micro_batch: int, size: int) -> int:
    """What each rank takes of held-out rows at once: `micro_batch`, or what gives whole groups."""
    size = recipe.trainer.args.get("num_generations_eval") or size
    share = size // math.gcd(size, recipe.launch.processes)
    return math.ceil(micro_batch / share) * share


def _keep_groups_whole(config: Any, rewards: Sequence[BoundReward], recipe: Recipe) -> None:
    """A rank scores what it has sampled: rewards that compare within a group need all of it there.

    Raises UsageError where training would part groups; evaluations take larger batches instead.
    """
    comparing = [reward.name for reward in rewards if not reward.per_sample]
    if not comparing or config.world_size == 1:
        return
    size = config.num_generations
    share = config.per_device_train_batch_size * config.steps_per_generation
    if share % size:
        raise UsageError(
            f"reward {comparing[0]!r} compares the {size} completions of a prompt, and each of "
            f"{config.world_size} processes would sample {share}; make "
            f"{recipe.where('batch', 'prompts_per_step')} a multiple of {config.world_size}"
        )
    size = config.num_generations_eval or size
    config.per_device_eval_batch_size += -config.per_device_eval_batch_size % size


def _check_enough(rows: Dataset, config: Any, recipe: Recipe) -> None:
    """TRL draws whole generation batches only: of too few prompts it would train no step."""
    needed = config.generation_batch_size // config.num_generations
    if len(rows) < needed:
        raise UsageError(
            f"{recipe.where('dataset')} has {len(rows)} prompts, and one round of sampling takes "
            f"{needed}; give more, or lower batch.prompts_per_step or "
            "trainer.args.steps_per_generation"
        )


def _end_at_all(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that TRL ends completions at; the policy, once saved, ends at the same."""
    theirs = model.generation_config.eos_token_id
    several = [tokenizer.eos_token_id, *(theirs if isinstance(theirs, list) else [theirs])]
    eos = [token for token in dict.fromkeys(several) if token is not None]
    model.generation_config.eos_token_id = eos[0] if len(eos) == 1 else eos or None
    return eos
