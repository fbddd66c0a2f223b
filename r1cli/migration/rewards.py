"""Reward keys: names, weights, and the flat arguments that belong to one reward each."""

from __future__ import annotations

from typing import Any

from r1cli.errors import UsageError
from r1cli.migration.draft import Draft, listed
from r1cli.plugins import Plugins

TRL: dict[str, tuple[str, dict[str, Any]]] = {
    "accuracy_reward": ("accuracy", {}),
    "reasoning_accuracy_reward": ("accuracy", {}),
    "think_format_reward": ("format", {"schema": "think"}),
    "get_soft_overlong_punishment": (
        "soft_overlong_punishment",
        {"max_completion_len": 1280, "soft_punish_cache": 256},
    ),
}
"""TRL's own rewards, by the names its command line takes, and the arguments it fixes."""

OPEN_R1: dict[str, dict[str, Any]] = {
    "format": {"mode": "strict"},
    "tag_count": {"mode": "strict"},
    "length": {"unit": "characters"},
    "cosine": {"min_value_wrong": 0.0, "max_len": 1000, "unit": "characters"},
}
"""What open-r1's rewards do where they are not told, and r1's do otherwise."""

LATER = {"ioi_code", "cf_code"}

DEFAULT = ["accuracy", "format", "tag_count"]  # of open-r1

KNOBS = {
    "cosine_min_value_wrong": ("cosine", "min_value_wrong"),
    "cosine_max_value_wrong": ("cosine", "max_value_wrong"),
    "cosine_min_value_correct": ("cosine", "min_value_correct"),
    "cosine_max_value_correct": ("cosine", "max_value_correct"),
    "cosine_max_len": ("cosine", "max_len"),
    "repetition_n_grams": ("repetition_penalty", "n_grams"),
    "repetition_max_penalty": ("repetition_penalty", "max_penalty"),
    "code_language": ("code_format", "language"),
    "max_completion_len": ("soft_overlong_punishment", "max_completion_len"),
    "soft_punish_cache": ("soft_overlong_punishment", "soft_punish_cache"),
}

COLUMNS = {
    "accuracy": "solution",
    "cosine": "solution",
    "length": "solution",
    "code": "verification_info",
    "binary_code": "verification_info",
}
"""The column of open-r1's data that a reward reads."""

CODE = {"code", "binary_code"}

PARALLEL = {"local": "workers", "e2b": "sandboxes", "morph": "instances"}
"""What each code provider calls the number of programs that run at once."""


def migrate_rewards(draft: Draft, plugins: Plugins) -> list[str]:
    """Write `rewards` and `code`; returns the columns that the rewards read."""
    said, weighed = "reward_funcs" in draft, "reward_weights" in draft
    names = listed(draft.take("reward_funcs")) or DEFAULT
    weights = listed(draft.take("reward_weights"))
    if weights and len(weights) != len(names):
        raise UsageError(
            f"reward_weights at {draft.source.at(('reward_weights',))} has {len(weights)} numbers "
            f"for {len(names)} rewards"
        )
    rewards = []
    for number, name in enumerate(names):
        term = _reward(draft, str(name), f"reward_funcs.{number}" if said else "", plugins)
        if term and weights:
            term["weight"] = weights[number]
        if term:
            rewards.append(term)
    if said:
        draft.note("renamed", "reward_funcs", "rewards", "each with its arguments and weight")
    else:
        draft.note("added", "", "rewards", "open-r1's default where none is named")
    if weighed:
        draft.note("renamed", "reward_weights", "rewards.weight", "beside the reward it is of")
    draft.put("rewards", rewards)
    _knobs(draft, rewards)
    _code(draft, rewards)
    return sorted({COLUMNS[term["name"]] for term in rewards if term["name"] in COLUMNS})


def _reward(draft: Draft, name: str, old: str, plugins: Plugins) -> dict[str, Any] | None:
    new, args = TRL.get(name, (name, OPEN_R1.get(name, {})))
    if new not in plugins["rewards"]:
        if old:
            what = "a later r1 has it" if new in LATER else "write it: r1 plugins new"
            draft.note("removed", old, "", f"there is no reward {name!r}; {what}")
        return None
    if old and (new != name or args):
        because = f"{args} is what it did" if args else "r1's name for it"
        draft.note("renamed", old, f"rewards: {new}", because)
    return {"name": new, **({"args": dict(args)} if args else {})}


def _knobs(draft: Draft, rewards: list[dict[str, Any]]) -> None:
    for knob, (reward, argument) in KNOBS.items():
        if knob not in draft:
            continue
        value = draft.take(knob)
        terms = [term for term in rewards if term["name"] == reward]
        for term in terms:
            term.setdefault("args", {})[argument] = value
        if terms:
            new = f"rewards.args.{argument}"
            draft.note("renamed", knob, new, f"an argument of the reward {reward}")
        else:
            draft.note("removed", knob, "", f"is for the reward {reward}, which is not used")


def _code(draft: Draft, rewards: list[dict[str, Any]]) -> None:
    """open-r1's router goes before its provider; without either, programs now run here."""
    provider = ""
    for key in ("e2b_router_url", "morph_router_url"):
        if key in draft:
            provider = "router"
            draft.put("code.name", provider)
            draft.move(key, "code.args.endpoints", "start there: r1 serve router")
    for key in ("provider_type", "code_provider"):
        if key in draft and provider:
            draft.drop(key, f"code.name is {provider}")
        elif key in draft:
            provider = draft.left[key]
            draft.move(key, "code.name", "code providers have a section")
    if not provider and CODE & {term["name"] for term in rewards}:
        draft.add("code.name", "local", "programs run here; open-r1's default was e2b")
    key = "parallel_code_exec_per_proc"
    if key in draft:
        parallel = PARALLEL.get(provider or "local")
        if parallel:
            draft.put("code.name", provider or "local")
            draft.move(key, f"code.args.{parallel}", "an argument of the code provider")
        else:
            draft.drop(key, f"how many run at once is for {provider} to say")
