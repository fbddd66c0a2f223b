"""TRL's GRPO trainer, with the same learning for less computing where that is possible.

Short overrides. Each asks first whether its short cut applies and hands over to TRL where it does
not, so every setting of `GRPOConfig` keeps working.
"""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Any

from r1_trl import microbatch, sampler

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel
    from trl import GRPOTrainer

LOGITS_BYTES = 256 * 2**20  # above this, TRL's tiled head is kinder to the memory
# Entries of a generation config that do not change what is sampled here.
HARMLESS = {"use_cache", "max_length", "bos_token_id", "transformers_version", "_from_model_config"}


def fast_trainer(base: type[GRPOTrainer] | None = None) -> type[GRPOTrainer]:
    """Return a subclass of `base` (TRL's `GRPOTrainer`) that takes the short cuts."""
    import torch
    from trl import GRPOTrainer
    from trl.models import unwrap_model_for_generation

    parent: Any = base or GRPOTrainer

    class FastGRPOTrainer(parent):
        _sampled_entropy: float | None = None

        @cached_property
        def stock_sampling(self) -> str | None:
            """Why `generate` samples instead of `r1_trl.sampler`, or None where the latter does."""
            return stock_sampling(self)

        @cached_property
        def microbatch_rules(self) -> microbatch.Rules:
            return microbatch.rules(self)

        def _generate_single_turn(
            self, prompt_ids, images, multimodal_fields, num_generations, *args, **kwargs
        ):
            self._sampled_entropy = None
            if self.stock_sampling or images or multimodal_fields:
                return super()._generate_single_turn(
                    prompt_ids, images, multimodal_fields, num_generations, *args, **kwargs
                )
            eos, limit = tuple(self.eos_token_ids), self.max_completion_length
            draw = sampler.Draw(limit, eos, self.temperature, self.top_k, self.top_p)
            with unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as model:
                completions, self._sampled_entropy = sampler.sample(
                    model, prompt_ids, draw, pad_token_id=self._tokenizer.pad_token_id
                )
            return completions, None

        def _generate_and_score_completions(self, inputs):
            batch = super()._generate_and_score_completions(inputs)
            plain = self.multi_objective_aggregation == "sum_then_normalize"
            if self.model.training and plain and self.microbatch_rules.leave_out:
                advantages = batch["advantages"]
                batch["advantages"] = microbatch.without_rounding(advantages, self.num_generations)
            return batch

        def _prepare_inputs(self, generation_batch):
            before = self._buffered_inputs
            inputs = super()._prepare_inputs(generation_batch)
            if self._buffered_inputs is before:
                return inputs  # an evaluation, or micro-batches rearranged in an earlier call
            rules = self.microbatch_rules
            if rules.leave_out:
                moved = torch.cat([microbatch.moved(batch) for batch in self._buffered_inputs])
                share = moved.float().mean().item()
                self._metrics["train"]["frac_rows_with_gradient"].append(share)
            self._buffered_inputs = microbatch.rearrange(self._buffered_inputs, rules)
            return self._buffered_inputs[self._step % self.args.steps_per_generation]

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            on_policy = self.model.training and "old_per_token_logps" not in inputs
            if on_policy and self.microbatch_rules.leave_out and self._sampled_entropy is not None:
                # TRL has not seen the rows left out, which are often the most certain ones.
                self._metrics["train"]["entropy"][-1] = self._sampled_entropy
            return loss * inputs.get("loss_scale", 1.0)

        def _get_per_token_logps_and_entropies(
            self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, **kwargs
        ):
            size = batch_size or len(input_ids)
            if not direct_scores(self, size * logits_to_keep, kwargs):
                return super()._get_per_token_logps_and_entropies(
                    model, input_ids, attention_mask, logits_to_keep, batch_size, **kwargs
                )
            scored = [
                _score(model, ids, mask, logits_to_keep, self.temperature)
                for ids, mask in zip(input_ids.split(size), attention_mask.split(size), strict=True)
            ]
            logps, entropies = (torch.cat(part) for part in zip(*scored, strict=True))
            return logps, entropies if kwargs.get("compute_entropy") else None, None

    return FastGRPOTrainer


def stock_sampling(trainer: Any) -> str | None:
    """Why `model.generate` (or vLLM) must sample for this trainer; None where `sampler` can."""
    if trainer.use_vllm:
        return "vLLM samples"
    if trainer.use_transformers_continuous_batching:
        return "continuous batching samples"
    if trainer.tools or trainer._is_vlm:
        return "tools or images are in use"
    if trainer.args.generation_kwargs or trainer.args.cache_implementation:
        return "generation_kwargs or cache_implementation is set"
    if trainer.repetition_penalty not in (None, 1.0) or trainer.min_p is not None:
        return "repetition_penalty or min_p is set"
    if trainer.is_fsdp_enabled or trainer._dist.is_zero3:
        return "the weights are sharded (FSDP or ZeRO-3)"
    model = trainer.accelerator.unwrap_model(trainer.model)
    # What TRL leaves unset comes from the checkpoint's generation_config.json.
    theirs = _values(model.generation_config) - _values(trainer.generation_config) - HARMLESS
    if theirs:
        return f"the model's generation config sets {', '.join(sorted(theirs))}"
    return unfit(model)


def unfit(model: PreTrainedModel) -> str | None:
    """Why `sampler.sample` cannot run this model, or None where it can."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    if model.config.is_encoder_decoder:
        return "an encoder-decoder model"
    if getattr(model, "peft_config", None) and model.active_peft_config.is_prompt_learning:
        return "a PEFT prompt-learning adapter"
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    if getattr(plain, "_is_stateful", False):
        return "a recurrent model"
    if len(set((getattr(plain, "hf_device_map", None) or {}).values())) > 1:
        return "a model split over devices"
    if "logits_to_keep" not in inspect.signature(plain.forward).parameters:
        return "a model whose forward has no logits_to_keep"
    try:
        kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
    except (AttributeError, KeyError, TypeError, ValueError):
        return "a model with a cache of its own"
    if kinds != {DynamicLayer}:
        return "a model with sliding-window, linear or other special attention layers"
    return None


def _values(config: Any) -> set[str]:
    return {key for key, value in config.to_dict().items() if value not in (None, False)}


def direct_scores(trainer: Any, tokens: int, kwargs: dict[str, Any]) -> bool:
    """Whether the model's own head scores `tokens` completion tokens at once.

    TRL's tiled head saves memory on large vocabularies. Without Triton it scores the prompt too,
    and reads its scores a second time in the backward pass.
    """
    asked = {key for key, value in kwargs.items() if value is not None and value is not False}
    return (
        trainer.accelerator.device.type == "cpu"
        and trainer.accelerator.mixed_precision == "no"
        and asked <= {"compute_entropy"}  # no images, no MoE loss
        and not trainer._entropy_bonus_enabled
        and not trainer.args.cast_lm_head_to_fp32
        and tokens * trainer.model.config.get_text_config().vocab_size * 4 <= LOGITS_BYTES
    )


def _score(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, keep: int, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies (B, C) of the last `keep` tokens of `ids` (B, P+C).

    Both are 0 at padding. Entropies carry no gradient.
    """
    import torch

    logits = model(
        input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=keep + 1
    ).logits[:, :-1]
    everything = (logits.float() / temperature).log_softmax(-1)  # (B, C, V)
    targets = ids[:, -keep:].unsqueeze(-1)
    padding = mask[:, -keep:] == 0
    logps = everything.gather(-1, targets).squeeze(-1).masked_fill(padding, 0.0)
    with torch.no_grad():
        entropies = -(everything.exp() * everything).sum(-1).masked_fill(padding, 0.0)
    return logps, entropies
