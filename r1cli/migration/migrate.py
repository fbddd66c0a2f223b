"""From a flat YAML of open-r1 or TRL to a recipe of r1. Start reading here.

Each step takes the keys it knows out of the draft; what no step takes is reported as unknown.
"""

from __future__ import annotations

from typing import Any

from r1cli.errors import UsageError, suggest
from r1cli.extras import require
from r1cli.migration import keys
from r1cli.migration.batch import migrate_batch
from r1cli.migration.data import migrate_data
from r1cli.migration.draft import Draft, listed
from r1cli.migration.model import migrate_model
from r1cli.migration.rewards import KNOBS, migrate_rewards
from r1cli.plugins import Plugins
from r1cli.recipe import Recipe
from r1cli.recipe_file import Name
from r1cli.source import Source

GRPO_ONLY = {"reward_funcs", "reward_weights", "max_prompt_length", "dataset_prompt_column"}

FAR = 10**9  # what was added stands after the notes on lines


def migrate(
    source: Source, plugins: Plugins, *, processes: int | None = None, trainer: str = ""
) -> Draft:
    """The recipe, with a note on every key of the old file.

    An accelerate file said on how many `processes` it ran; 8 in all of open-r1's and TRL's.
    """
    if not isinstance(source.data, dict) or not source.data:
        raise UsageError(f"{source.name} holds no recipe: expected keys such as model_name_or_path")
    if "model" in source.data and "trainer" in source.data:
        raise UsageError(f"{source.name} is a recipe of r1 already; try: r1 recipe check")
    draft = Draft(source)
    every = {"grpo": _fields("GRPOConfig"), "sft": _fields("SFTConfig")}
    signs = {*GRPO_ONLY, *KNOBS, *every["grpo"]} - set(every["sft"])
    trainer = trainer or ("grpo" if signs & set(draft.left) else "sft")
    fields = every[trainer]
    for key in [key for key, value in draft.left.items() if value is None]:
        if fields.get(key) is None:
            draft.drop(key, "it is empty")

    draft.put("trainer.name", trainer)
    migrate_model(draft)
    columns = migrate_rewards(draft, plugins) if trainer == "grpo" else []
    migrate_data(draft, columns)
    _benchmarks(draft, plugins)
    _run_name(draft)
    _launch(draft)
    migrate_batch(draft, grpo=trainer == "grpo", processes=processes)
    _settings(draft, set(fields), trainer)
    if "seed" not in draft.recipe:
        draft.add("seed", 42, "the default of transformers; r1's is 0")
    if "dtype" not in draft.recipe["model"]:
        draft.add("model.dtype", "float32", "TRL's default; r1's is that of the weights, on a GPU")
    if keys.OLD & set(source.data):
        _old_defaults(draft)
    _unknown(draft, {*every["grpo"], *every["sft"]}, {*fields, *keys.RENAMED, *keys.GONE, *KNOBS})
    draft.recipe = {
        part: draft.recipe[part] for part in Recipe.model_fields if part in draft.recipe
    }
    draft.notes.sort(key=lambda note: note.line or FAR)
    return draft


def _fields(config: str) -> dict[str, Any]:
    """The fields of one of TRL's config classes and their defaults."""
    require("train", "trl")
    import dataclasses

    import trl

    return {field.name: field.default for field in dataclasses.fields(getattr(trl, config))}


def _benchmarks(draft: Draft, plugins: Plugins) -> None:
    if "benchmarks" in draft:
        names = [str(name) for name in listed(draft.take("benchmarks"))]
        known = [name for name in names if name in plugins["benchmarks"]]
        draft.put("benchmarks", [{"name": name} for name in known])
        draft.note("kept", "benchmarks", "benchmarks", "measured on the final policy")
        for number, name in enumerate(names):
            if name not in known:
                draft.note("removed", f"benchmarks.{number}", "", f"no benchmark {name!r} yet")
    if "callbacks" in draft:
        names = [str(name) for name in listed(draft.take("callbacks"))]
        draft.note("removed", "callbacks", "", "r1's own stand in their place")
        for number, name in enumerate(names):
            draft.note("removed", f"callbacks.{number}", "", keys.GONE.get(name, f"was {name!r}"))


def _run_name(draft: Draft) -> None:
    """`output_dir: data/my-model` without a run_name was the name of a run."""
    output = str(draft.left.get("output_dir", ""))
    name = output.rstrip("/").rpartition("/")[2]
    if "run_name" not in draft and Name.fullmatch(name):
        draft.take("output_dir")
        draft.put("name", name)
        draft.note("renamed", "output_dir", "name", keys.GONE["output_dir"])


def _launch(draft: Draft) -> None:
    for key in ("accelerate_config", "accelerator"):
        if key in draft:
            given = str(draft.take(key)).rpartition("/")[2].removesuffix(".yaml")
            draft.put("launch.accelerator", keys.ACCELERATORS.get(given, given))
            draft.note("renamed", key, "launch.accelerator", "r1 starts accelerate itself")


def _settings(draft: Draft, fields: set[str], trainer: str) -> None:
    """The rest by table: renamed, gone, or a field of TRL's config under its own name."""
    draft.recipe["trainer"].setdefault("args", {})
    if trainer == "sft" and "system_prompt" in draft:
        draft.drop("system_prompt", "open-r1's SFT gave it to benchmarks only")
    if "test_split_size" not in draft.recipe["dataset"]:
        for key in [key for key in keys.EVALUATION if key in draft]:
            draft.drop(key, keys.NOTHING_HELD_OUT)
    if "warmup_ratio" in draft and draft.left.get("warmup_steps") == 0:
        draft.drop("warmup_steps", "0 of them left it to warmup_ratio")
    for key in [key for key in draft.left if key in fields - {*keys.RENAMED, *keys.GONE}]:
        value = draft.left[key]
        word = keys.WORDS.get(key, {}).get(value) if isinstance(value, bool) else None
        draft.left[key] = word or value
        draft.move(key, keys.ARGS + key, f"{value} is called {word}" if word else "")
    for key in list(draft.left):
        if key in keys.GONE:
            draft.drop(key, keys.GONE[key])
        elif key in keys.RENAMED:
            new, why = keys.RENAMED[key]
            if draft.is_free(new):
                draft.move(key, new, why)
            else:
                draft.drop(key, f"{new} is given too")


def _old_defaults(draft: Draft) -> None:
    args = draft.recipe["trainer"]["args"]
    if draft.recipe["trainer"]["name"] == "sft":
        if args.get("packing") and "packing_strategy" not in args:
            why = "what packing was in TRL 0.18, which cut texts where a row was full"
            draft.add(keys.ARGS + "packing_strategy", "wrapped", why)
        return
    for name, value in keys.OLD_DEFAULTS.items():
        if name not in args:
            draft.add(keys.ARGS + name, value, "the default of TRL 0.18, changed since")
    if args["beta"] and "use_bias_correction_kl" not in args:
        why = "TRL 0.18's gradient of the KL term; today's default is another"
        draft.add(keys.ARGS + "use_bias_correction_kl", False, why)
    if not args.get("use_vllm"):
        return
    if "vllm_mode" not in args:
        why = "was server by default: r1 serve MODEL, and say vllm_mode: server here"
        draft.add(keys.ARGS + "vllm_mode", "colocate", why)
    if "vllm_importance_sampling_correction" not in args:
        why = "TRL 0.18 took vLLM's probabilities for the policy's own: false is as it was"
        draft.add(keys.ARGS + "vllm_importance_sampling_correction", True, why)


def _unknown(draft: Draft, of_trl: set[str], known: set[str]) -> None:
    for key in list(draft.left):
        if key in of_trl:
            draft.drop(key, f"is no setting of {draft.recipe['trainer']['name']}")
            continue
        draft.take(key)
        hint = suggest(str(key), known)
        draft.note("unknown", str(key), "", hint if hint.startswith("did you mean") else "")
