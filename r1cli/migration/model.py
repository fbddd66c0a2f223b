"""The model of an old recipe: attention, adapter, and arguments of `from_pretrained`."""

from __future__ import annotations

from typing import Any, get_args

from r1cli.errors import UsageError
from r1cli.migration.draft import Draft, listed
from r1cli.recipe import Model

PEFT = ("use_peft", "lora_", "use_rslora", "use_dora", "load_in_", "bnb_", "use_bnb_")
"""How the keys of adapters and quantisation begin, in TRL's ModelConfig."""

ADAPTER = {
    "lora_r": ("rank", 16),
    "lora_alpha": ("alpha", 32),
    "lora_dropout": ("dropout", 0.05),
    "use_dora": ("dora", False),
    "use_rslora": ("rslora", False),
}
"""Old key to ours, and TRL's default."""

KERNELS = "kernels-community/"


def migrate_model(draft: Draft) -> None:
    """Move what is no plain renaming; `keys.RENAMED` has the rest."""
    if "model_name_or_path" not in draft:
        raise UsageError(f"{draft.source.name} names no model: model_name_or_path is missing")
    init = draft.take("model_init_kwargs")
    if init is not None:
        draft.note("removed", "model_init_kwargs", "", "a model has its own section")
        for name, value in init.items() if isinstance(init, dict) else ():
            old = f"model_init_kwargs.{name}"
            if name in ("torch_dtype", "dtype"):
                draft.put("model.dtype", value)
                draft.note("renamed", old, "model.dtype", "")
            elif name == "attn_implementation":
                _attention(draft, old, value)
            else:
                draft.note("removed", old, "", "r1 passes nothing else on")
    if "attn_implementation" in draft:
        _attention(draft, "attn_implementation", draft.take("attn_implementation"))
    _adapter(draft)


def _attention(draft: Draft, old: str, value: Any) -> None:
    known = [name for name in _names(Model.model_fields["attention"].annotation) if name]
    why = "a model has its own section"
    if isinstance(value, str) and value.startswith(KERNELS):
        value = "flash_attention_3" if value.endswith("3") else "flash_attention_2"
        why = "transformers takes it from the package kernels where flash-attn is missing"
    if value in known:
        draft.put("model.attention", value)
        draft.note("renamed", old, "model.attention", why)
    else:
        draft.note("removed", old, "", f"{value!r} is none of {', '.join(known)}")


def _adapter(draft: Draft) -> None:
    given = [key for key in draft.left if str(key).startswith(PEFT)]
    if not draft.left.get("use_peft"):
        for key in given:
            draft.drop(key, "use_peft is not true, so no adapter was trained")
        return
    draft.take("use_peft")
    draft.note("renamed", "use_peft", "model.adapter", "its keys follow")
    for key, (ours, default) in ADAPTER.items():
        if key in draft:
            draft.move(key, f"model.adapter.{ours}")
        elif default:
            draft.add(f"model.adapter.{ours}", default, "TRL's default")
    _targets(draft)
    if draft.left.get("lora_modules_to_save"):
        draft.left["lora_modules_to_save"] = listed(draft.left["lora_modules_to_save"])
        draft.move("lora_modules_to_save", "model.adapter.modules_to_save")
    for key, bits in (("load_in_4bit", "4bit"), ("load_in_8bit", "8bit")):
        if draft.left.get(key):
            draft.take(key)
            draft.put("model.adapter.quantize", bits)
            draft.note("renamed", key, "model.adapter.quantize", f"true is called {bits}")
    for key in [key for key in draft.left if str(key).startswith(PEFT)]:
        four = str(key).startswith(("bnb_", "use_bnb_"))
        draft.drop(key, "4 bits are NF4, quantised twice" if four else "no part of an adapter here")


def _targets(draft: Draft) -> None:
    place = "model.adapter.targets"
    value = draft.left.get("lora_target_modules")
    if value in ("all-linear", ["all-linear"]):
        draft.left["lora_target_modules"] = "all-linear"
        draft.move("lora_target_modules", place)
    elif value:
        draft.left["lora_target_modules"] = listed(value)
        draft.move("lora_target_modules", place)
    else:
        if "lora_target_modules" in draft:
            draft.drop("lora_target_modules", "it is empty")
        draft.add(place, ["q_proj", "v_proj"], "peft's default for Qwen and Llama")


def _names(annotation: Any) -> list[str]:
    """The words of a Literal, alone or in a union with None."""
    words: list[str] = []
    for part in get_args(annotation):
        words += [part] if isinstance(part, str) else _names(part)
    return words
