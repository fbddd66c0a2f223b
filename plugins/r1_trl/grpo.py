"""GRPO with verifiable rewards: TRL's trainer, r1's rewards, every rollout kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1_trl import arguments, callback, policy, prompts, rollouts
from r1_trl.card import card
from r1_trl.rewards import RewardAdapter, text_of
from r1cli import BatchPlan, BoundReward, Recipe, Run, UsageError, prefill

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
) -> Path:
    """Reinforce what the rewards confirm (DeepSeekMath, arXiv:2402.03300, as TRL implements it)."""
    arguments.require_trl()
    config = _config(recipe, run.checkpoints)
    batch = plan(recipe)
    if batch:
        log.info("batch: %s", batch)
    tokenizer = policy.load_tokenizer(recipe)
    model = policy.load_model(recipe)
    template = config.chat_template_kwargs or {}
    context = policy.context_length(model)
    room = context - config.max_completion_length if context else None
    rows = prompts.prepare(dataset, recipe, tokenizer, room=room, template=template)

    eos = {tokenizer.eos_token_id, *_ids(model.generation_config.eos_token_id)} - {None}
    adapters = [
        RewardAdapter(reward, lambda prompt: prefill(tokenizer, prompt, **template), sorted(eos))
        for reward in rewards
    ]
    opened = prefill(tokenizer, rows[0]["prompt"], **template)
    if opened:
        log.info("the chat template opens the completion with %r; rewards see it", opened)
    trainer = _trainer_class()(
        model=model,
        reward_funcs=adapters,
        args=config,
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    trainer.rollouts = run.directory / "rollouts"
    callback.train(trainer, run)
    policy.save(trainer, tokenizer, run.model, card(recipe, run, _last_log(trainer)))
    return run.model


def check(recipe: Recipe) -> None:
    """The parts of a GRPO recipe that can be known wrong before a model is loaded."""
    if not recipe.rewards:
        raise UsageError(f"{recipe.where('rewards')} is empty; grpo learns from rewards, give one")
    plan(recipe)  # arithmetic first: importing TRL takes seconds
    arguments.require_trl()
    _config(recipe, Path("check"))


def plan(recipe: Recipe) -> BatchPlan | None:
    """How prompts per step and group size become micro-batches."""
    return arguments.plan(recipe, _group_size(recipe))


grpo.check = check  # type: ignore[attr-defined]
grpo.plan = plan  # type: ignore[attr-defined]


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
            "gradient_accumulation_steps": batch.accumulation,
        }
    derived["reward_weights"] = [reward.weight for reward in recipe.rewards]
    return arguments.build(GRPOConfig, recipe, output, **derived)


def _trainer_class() -> type:
    from r1_trl.fast import fast_trainer

    class Trainer(fast_trainer()):  # type: ignore[misc]
        """TRL's GRPO trainer that keeps what it sampled."""

        rollouts: Path | None = None

        def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):  # type: ignore[no-untyped-def]
            scores = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
            eos = self.reward_funcs[0].eos_token_ids
            mine = scores[self.accelerator.process_index * len(prompts) :][: len(prompts)].tolist()
            self._drawn = {
                "prompt": list(prompts),
                "completion": [text_of(completion) for completion in completions],
                "prefill": [self.reward_funcs[0].prefill(prompt) for prompt in prompts],
                "tokens": [len(ids) for ids in completion_ids_list],
                "truncated": [not ids or ids[-1] not in eos for ids in completion_ids_list],
            }
            for number, name in enumerate(self.reward_func_names):
                values = [row[number] for row in mine]
                # NaN is TRL's mark for "not applicable"
                self._drawn[f"reward/{name}"] = [None if v != v else v for v in values]
            return scores

        def _generate_and_score_completions(self, inputs):  # type: ignore[no-untyped-def]
            output = super()._generate_and_score_completions(inputs)
            if self.model.training and self.rollouts is not None:
                drawn = {**self._drawn, "advantage": output["advantages"].tolist()}
                step = self.state.global_step + 1
                rollouts.write(self.rollouts, step, self.accelerator.process_index, drawn)
            return output

    return Trainer


def _ids(value: Any) -> list[int]:
    return value if isinstance(value, list) else [value]


def _last_log(trainer: Any) -> dict[str, Any]:
    logged = [row for row in trainer.state.log_history if "reward" in row or "loss" in row]
    return logged[-1] if logged else {}
