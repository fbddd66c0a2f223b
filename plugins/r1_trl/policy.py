"""The policy: model and tokenizer as the recipe's `model` says, and the final save."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1_trl import adapter, attention, edits, sharding
from r1_trl.standing_in import standing_in
from r1cli import Recipe, Run, disk_errors, load_config, load_model, load_tokenizer, model_card

log = logging.getLogger("r1cli.policy")


def tokenizer_of(recipe: Recipe) -> Any:
    """The tokenizer, padded on the left, with the recipe's chat template where it gives one."""
    model = recipe.model
    tokenizer = load_tokenizer(model.name, model.revision, where=recipe.where("model", "name"))
    if model.chat_template:
        tokenizer.chat_template = _template(model.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def model_of(recipe: Recipe) -> Any:
    """The causal language model in the recipe's dtype; `auto` is float32 without a GPU.

    Where the recipe's model is an adapter already, it comes as peft's model, to be trained on.
    """
    import torch

    name, revision, where = recipe.model.name, recipe.model.revision, recipe.where("model", "name")
    adapter.check(recipe)
    dtype = recipe.model.dtype
    if dtype == "auto" and not torch.cuda.is_available():
        dtype = "float32"
    config = load_config(name, revision, where=where)
    edits.apply(config, recipe)
    model = load_model(
        name,
        revision,
        where=where,
        config=config,
        trainable=True,
        dtype=dtype,
        **attention.options(recipe),
        **adapter.quantization(recipe, dtype),
    )
    adapter.settle(model, recipe)
    return model


@contextmanager
def with_reference(recipe: Recipe) -> Iterator[None]:
    """TRL's GRPO trainer, constructed in here, has the policy as it was loaded as its reference.

    TRL itself loads one by the model's name alone: of another revision, and without the edits.
    """
    from trl.trainer import grpo_trainer

    with standing_in(grpo_trainer, create_model_from_path=lambda *_, **__: model_of(recipe)):
        yield


def _template(text: str) -> str:
    """A chat template given as a file name or as the Jinja text itself."""
    path = Path(text)
    return path.read_text(encoding="utf-8") if path.suffix == ".jinja" and path.is_file() else text


def context_length(model: Any) -> int | None:
    """How many tokens the model has positions for; None where its config does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def save(trainer: Any, tokenizer: Any, run: Run) -> None:
    """The final policy, or its adapter, with tokenizer and card: written beside, then renamed."""
    directory = run.model
    beside = directory.with_name(f".{directory.name}.partial")
    with disk_errors(directory):
        if trainer.accelerator.is_main_process and beside.exists():
            shutil.rmtree(beside)
        model = trainer.accelerator.unwrap_model(trainer.model)
        model.config.use_cache = True
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        trainer.save_model(str(beside))
        sharding.release()
        if not trainer.accelerator.is_main_process:
            return
        if edits.kept(run.recipe):  # an adapter's base has them nowhere else
            model.config.save_pretrained(str(beside))
        tokenizer.save_pretrained(str(beside))
        card = model_card(run, adapter=adapter.is_adapter(model))
        (beside / "README.md").write_text(card, encoding="utf-8")
        if directory.exists():
            shutil.rmtree(directory)
        beside.rename(directory)
