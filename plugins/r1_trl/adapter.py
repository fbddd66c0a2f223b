"""`model.adapter`: LoRA, DoRA and QLoRA through peft, or the adapter that is trained on.

A new adapter is put on by TRL, which takes peft's config. One that is there already comes with the
model; TRL then copies it as the reference where `beta` is not 0.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from typing import Any

from r1cli import Recipe, StoredAdapter, UsageError, require, stored_adapter, suggest

log = logging.getLogger("r1cli.policy")


def peft_config(recipe: Recipe, model: Any) -> Any:
    """A new adapter as peft's LoraConfig; None where every weight is trained or one is on it."""
    wanted = recipe.model.adapter
    if wanted is None or is_adapter(model):
        return None
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=wanted.rank,
        lora_alpha=wanted.alpha,
        lora_dropout=wanted.dropout,
        target_modules=wanted.targets,
        modules_to_save=wanted.modules_to_save or None,
        ensure_weight_tying=bool(wanted.modules_to_save) and model.config.tie_word_embeddings,
        use_dora=wanted.dora,
        use_rslora=wanted.rslora,
        revision=getattr(model.config, "_commit_hash", None) or recipe.model.revision,
    )


def check(recipe: Recipe) -> None:
    """What of the recipe's adapter can be known wrong before anything is loaded."""
    wanted = recipe.model.adapter
    stored = stored_adapter(recipe.model.name, recipe.model.revision)
    if wanted is None:
        return
    require("train", "peft")
    if "lm_head" in wanted.targets:
        raise UsageError(
            f"{recipe.where('model', 'adapter', 'targets')} names lm_head, whose adapter TRL would "
            "not train: it reads the head's weight directly; leave it out"
        )
    if stored:
        _check_same(recipe, stored)
    if wanted.quantize and recipe.launch.name == "local" and (lacking := _lacking(recipe)):
        log.warning("%s", lacking)  # no error: the recipe may be meant for another machine


def quantization(recipe: Recipe, dtype: str) -> dict[str, Any]:
    """Options of `from_pretrained` that load frozen weights in 4 or 8 bits.

    NF4 with double quantisation, computing in bfloat16 (QLoRA, arXiv:2305.14314). Raises UsageError
    where there is no GPU or no bitsandbytes.
    """
    wanted = recipe.model.adapter
    if wanted is None or wanted.quantize is None:
        return {}
    if lacking := _lacking(recipe):
        raise UsageError(lacking)
    import torch
    from accelerate import PartialState
    from transformers import BitsAndBytesConfig

    compute = torch.bfloat16 if dtype == "auto" else getattr(torch, dtype)
    if wanted.quantize == "8bit":
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute,
            bnb_4bit_quant_storage=compute,  # FSDP shards tensors of one dtype
        )
    return {"quantization_config": config, "device_map": {"": PartialState().device}}


def _lacking(recipe: Recipe) -> str:
    """Why frozen weights cannot be loaded in few bits here; "" where they can."""
    import torch

    assert recipe.model.adapter
    bits = recipe.model.adapter.quantize
    where = f"{recipe.where('model', 'adapter', 'quantize')} = {bits}"
    instead = "leave it out for LoRA on weights in model.dtype"
    if not torch.cuda.is_available():
        return f"{where} needs a GPU, and there is none here; {instead}"
    if importlib.util.find_spec("bitsandbytes") is None:
        return f"{where} needs bitsandbytes: pip install bitsandbytes; or {instead}"
    return ""


def settle(model: Any, recipe: Recipe) -> None:
    """Check a loaded model against the recipe's adapter, and say what will be trained."""
    wanted = recipe.model.adapter
    if is_adapter(model):
        stored = model.active_peft_config
        if wanted and _targets(wanted.targets, model) != _targets(stored.target_modules, model):
            has = ", ".join(sorted(_targets(stored.target_modules, model)))
            raise _other(recipe, f"targets {has}")
        # TRL adds a copy as reference. Saved beside, it would be all that a resumed run loads.
        model.save_pretrained = functools.partial(
            model.save_pretrained, selected_adapters=[model.active_adapter]
        )
        log.info("training on the adapter %s", recipe.model.name)
    elif wanted:
        for key in ("targets", "modules_to_save"):
            _check_modules(model, recipe, key)


def is_adapter(model: Any) -> bool:
    """Whether a model is peft's."""
    return hasattr(model, "peft_config")


def _check_same(recipe: Recipe, stored: StoredAdapter) -> None:
    """An adapter that is trained on keeps its shape."""
    wanted = recipe.model.adapter
    assert wanted is not None
    names = {
        "rank": "r",
        "alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "dora": "use_dora",
        "rslora": "use_rslora",
    }
    for ours, theirs in names.items():
        has = stored.settings.get(theirs)
        if has != getattr(wanted, ours):
            raise _other(recipe, f"{ours} {has}")
    saved = stored.settings.get("modules_to_save") or []
    if set(saved) != set(wanted.modules_to_save):
        raise _other(recipe, f"modules_to_save {', '.join(saved) or 'none'}")


def _other(recipe: Recipe, has: str) -> UsageError:
    name = recipe.model.name
    return UsageError(
        f"{recipe.where('model', 'adapter')} asks for another adapter than {name!r} is, which has "
        f"{has}; leave model.adapter out to train that one on, or put a new one on the merged "
        f"model: r1 model merge {name} --out DIR"
    )


def _linear(model: Any) -> set[str]:
    """The last names of the linear layers, but for the output head."""
    from torch.nn import Linear

    base = model.get_base_model() if is_adapter(model) else model
    head = base.get_output_embeddings()
    plain = {name for name, m in base.named_modules() if isinstance(m, Linear) and m is not head}
    return {
        name.removesuffix(".base_layer").rpartition(".")[2] for name in plain if "lora_" not in name
    }


def _targets(named: Any, model: Any) -> set[str]:
    """The last names of an adapter's targets: peft keeps `all-linear` as whole paths."""
    names = _linear(model) if named == "all-linear" else named
    return {name.rpartition(".")[2] for name in names}


def _check_modules(model: Any, recipe: Recipe, key: str) -> None:
    """Every named module is there; peft itself takes a list of which only some are."""
    named = getattr(recipe.model.adapter, key)
    if named == "all-linear":
        return
    everything = {name for name, _ in model.named_modules()}
    for name in named:
        if not any(path == name or path.endswith(f".{name}") for path in everything):
            known = sorted(_linear(model))
            raise UsageError(
                f"{recipe.where('model', 'adapter', key)} names {name!r}, and "
                f"{recipe.model.name!r} has no such module; {suggest(name, known)}"
            )
