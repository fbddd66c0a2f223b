"""The policy: model and tokenizer from a directory or the hub, and the final save."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from r1_trl import sharding
from r1cli import Recipe, UsageError, disk_errors, ensure_model

log = logging.getLogger("r1cli.policy")


def load_tokenizer(recipe: Recipe) -> Any:
    """The tokenizer, padded on the left, with the recipe's chat template where it gives one."""
    from transformers import AutoTokenizer

    tokenizer = _load(AutoTokenizer, recipe, padding_side="left")
    if recipe.model.chat_template:
        tokenizer.chat_template = _template(recipe.model.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(recipe: Recipe) -> Any:
    """The causal language model in the recipe's dtype; `auto` is float32 without a GPU."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = recipe.model.dtype
    if dtype == "auto" and not torch.cuda.is_available():
        dtype = "float32"
    return _load(AutoModelForCausalLM, recipe, dtype=dtype)


def _load(loader: Any, recipe: Recipe, **options: Any) -> Any:
    name, revision = recipe.model.name, recipe.model.revision
    where = recipe.where("model", "name")
    ensure_model(name, revision, where)
    try:
        return loader.from_pretrained(name, revision=revision, **options)
    except (OSError, ValueError) as error:
        line = " ".join(str(error).split())[:300]
        raise UsageError(f"model {name!r} at {where} could not be loaded: {line}") from error


def _template(text: str) -> str:
    """A chat template given as a file name or as the Jinja text itself."""
    path = Path(text)
    return path.read_text(encoding="utf-8") if path.suffix == ".jinja" and path.is_file() else text


def context_length(model: Any) -> int | None:
    """How many tokens the model has positions for; None where its config does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def save(trainer: Any, tokenizer: Any, directory: Path, card: str) -> None:
    """The final policy with its tokenizer and card: written beside, then renamed."""
    beside = directory.with_name(f".{directory.name}.partial")
    with disk_errors(directory):
        if trainer.accelerator.is_main_process and beside.exists():
            shutil.rmtree(beside)
        model = trainer.accelerator.unwrap_model(trainer.model)
        model.config.use_cache = True
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        trainer.save_model(str(beside))
        sharding.release()
        if not trainer.accelerator.is_main_process:
            return
        tokenizer.save_pretrained(str(beside))
        (beside / "README.md").write_text(card, encoding="utf-8")
        if directory.exists():
            shutil.rmtree(directory)
        beside.rename(directory)
