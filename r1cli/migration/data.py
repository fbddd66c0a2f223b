"""Dataset keys: one dataset by name, open-r1's mixture, or TRL's."""

from __future__ import annotations

from typing import Any

from r1cli.errors import UsageError
from r1cli.migration.draft import Draft, listed

FILES = (".json", ".jsonl", ".csv", ".parquet")

ITEM = {"id": "id", "path": "id", "config": "config", "name": "config", "split": "split"} | {
    "data_files": "data_files"
}
"""Keys of one part of a mixture, open-r1's and TRL's, to arguments of r1's dataset `hub`."""


def migrate_data(draft: Draft, reward_columns: list[str]) -> None:
    """`reward_columns` are those the rewards read: a mixture keeps only the columns it names."""
    prompt = draft.take("dataset_prompt_column")
    if "dataset_mixture" in draft or "datasets" in draft:
        _mixture(draft, prompt, reward_columns)
        for key in ("dataset_name", "dataset_config", "dataset_train_split", "dataset_split"):
            if key in draft:
                draft.drop(key, "the mixture goes before it, as it did in open-r1")
        new = "dataset.mixture"
    else:
        _single(draft, prompt)
        new = "dataset.columns.prompt"
    if prompt is not None:
        draft.note("renamed", "dataset_prompt_column", new, "columns: wanted name to present one")


def _single(draft: Draft, prompt: str | None) -> None:
    name = draft.take("dataset_name")
    if name is None:
        raise UsageError(f"{draft.source.name} has neither dataset_name nor dataset_mixture")
    if str(name).endswith(FILES):
        draft.put("dataset", {"name": "file", "args": {"path": name}})
        draft.note("renamed", "dataset_name", "dataset.args.path", "a file of rows")
    else:
        draft.put("dataset", {"name": "hub", "args": {"id": name}})
        draft.note("renamed", "dataset_name", "dataset.args.id", "a dataset has its own section")
    for old, new in (
        ("dataset_config", "config"),
        ("dataset_train_split", "split"),
        ("dataset_split", "split"),
    ):
        if old in draft:
            draft.move(old, f"dataset.args.{new}", "a dataset has its own section")
    if prompt is not None:
        draft.put("dataset.columns", {"prompt": prompt})


def _mixture(draft: Draft, prompt: str | None, reward_columns: list[str]) -> None:
    key = "dataset_mixture" if "dataset_mixture" in draft else "datasets"
    given = draft.take(key)
    whole = given if key == "dataset_mixture" else {"datasets": given}
    parts = whole.get("datasets") if isinstance(whole, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise UsageError(f"{key} at {draft.source.at((key,))} holds no list of datasets")
    place = f"{key}.datasets" if key == "dataset_mixture" else key
    draft.put(
        "dataset.mixture",
        [
            _part(draft, part, f"{place}.{number}", prompt, reward_columns)
            for number, part in enumerate(parts)
        ],
    )
    draft.note("renamed", key, "dataset.mixture", "a dataset has its own section")
    if key == "dataset_mixture":
        draft.note("renamed", place, "dataset.mixture", "one item for each")
        for name, value in whole.items():
            if name == "seed":
                draft.put("dataset.seed", value)
                draft.note(
                    "renamed", f"{key}.seed", "dataset.seed", "a dataset has its own section"
                )
            elif name == "test_split_size":
                _test_split(draft, f"{key}.{name}", value)
            elif name != "datasets":
                draft.note("unknown", f"{key}.{name}", "", "known: datasets, seed, test_split_size")
    if "test_split_size" in draft:
        _test_split(draft, "test_split_size", draft.take("test_split_size"))


def _part(
    draft: Draft, old: dict[str, Any], place: str, prompt: str | None, reward_columns: list[str]
) -> dict[str, Any]:
    args: dict[str, Any] = {}
    columns = {prompt_name: prompt_name for prompt_name in reward_columns} if prompt else {}
    new: dict[str, Any] = {"name": "hub", "args": args}
    for name, value in old.items():
        was = f"{place}.{name}"
        if name in ITEM:
            args[ITEM[name]] = value
            draft.note("renamed", was, f"dataset.mixture.args.{ITEM[name]}", "an argument of hub")
        elif name == "weight":
            if value is not None:
                new["weight"] = value
            draft.note("kept", was, "dataset.mixture.weight")
        elif name == "columns":
            columns = {str(column): str(column) for column in listed(value)}
            draft.note("kept", was, "dataset.mixture.columns")
        elif name == "fraction":
            why = "was a share of the whole; say weight, the share of this dataset that is kept"
            draft.note("removed", was, "", why)
        else:
            known = ", ".join([*ITEM, "columns", "weight"])
            draft.note("unknown", was, "", f"known: {known}")
    if prompt:
        columns.pop(prompt, None)
        columns = {"prompt": prompt, **columns}
    if columns:
        new["columns"] = columns
    return new


def _test_split(draft: Draft, old: str, size: float | None) -> None:
    if size is None:
        draft.note("removed", old, "", "it is empty")
        return
    draft.put("dataset.test_split_size", size)
    why = "held out; evaluated with every checkpoint, trainer.args.eval_* say otherwise"
    draft.note("kept", old, "dataset.test_split_size", why)
