"""From the recipe's `dataset` to the rows to train on: mixed, held out, chosen, in order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from r1cli.data import curriculum, holding_out
from r1cli.data.mixture import counts, take
from r1cli.data.rows import load_rows, rename
from r1cli.errors import UsageError, one_line
from r1cli.extras import require
from r1cli.plugins import Plugins
from r1cli.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)


def load(recipe: Recipe, plugins: Plugins, frozen: Path | None = None) -> Dataset:
    """The rows of a recipe to train on, as a `datasets.Dataset`; without what is held out.

    In a mixture each part keeps only its `columns`, where it gives any, is shuffled with the seed
    and cut to its count (see `data.mixture.counts`); all parts are concatenated and shuffled again,
    as open-r1 does. Where a part names its rewards, each row says which in the column
    `reward_names`, and a column that only other parts have is None. Raises UsageError for what
    cannot be trained on.
    """
    return load_split(recipe, plugins, frozen)[0]


def load_split(
    recipe: Recipe, plugins: Plugins, frozen: Path | None = None
) -> tuple[Dataset, Dataset | None]:
    """The rows to train on and, with `test_split_size`, those held out from training.

    A curriculum chooses and orders the former; once a run has begun, `frozen` says how.
    """
    rows, held_out = _split(recipe, plugins)
    if recipe.dataset.curriculum:
        rows = curriculum.choose(rows, recipe, plugins, frozen)
    return rows, held_out


def _split(recipe: Recipe, plugins: Plugins) -> tuple[Dataset, Dataset | None]:
    require("train", "datasets")
    asked = recipe.dataset
    seed = recipe.seed if asked.seed is None else asked.seed
    size = asked.test_split_size
    if size is None:
        return _mixed(recipe, plugins, seed)[0] if asked.mixture else _single(recipe, plugins), None
    if asked.oversample:
        rows, held_out = _mixed(recipe, plugins, seed, hold_out=size)
    else:
        rows = _mixed(recipe, plugins, seed)[0] if asked.mixture else _single(recipe, plugins)
        ((rows,), (held_out,)) = holding_out.hold_out([rows], size, seed, _size_at(recipe))
    assert held_out is not None
    log.info("dataset: %d rows to train on, %d held out", len(rows), len(held_out))
    return rows, held_out


def _size_at(recipe: Recipe) -> str:
    """What held rows out, for an error."""
    where = recipe.where("dataset", "test_split_size")
    return f"test_split_size {recipe.dataset.test_split_size} at {where}"


def _single(recipe: Recipe, plugins: Plugins) -> Dataset:
    (item,) = recipe.dataset.items
    where = recipe.where("dataset")
    rows = load_rows(item.name, item.args, plugins, seed=recipe.seed, where=where)
    return rename(rows, item.columns, f"{where} columns")


def _mixed(
    recipe: Recipe, plugins: Plugins, seed: int, hold_out: float = 0
) -> tuple[Dataset, Dataset | None]:
    """The mixture, and what is held out of its parts before any row is repeated."""
    asked = recipe.dataset
    parts = []
    for number, item in enumerate(asked.mixture):
        where = recipe.where("dataset", "mixture", number)
        rows = load_rows(item.name, item.args, plugins, seed=recipe.seed, where=where)
        rows = rename(rows, item.columns, f"{where} columns")
        parts.append(rows.select_columns(list(item.columns)) if item.columns else rows)
    held_out: list[Dataset] = []
    if hold_out:
        parts, held_out = holding_out.hold_out(parts, hold_out, seed, _size_at(recipe))
    wanted = counts(
        [len(rows) for rows in parts],
        [item.weight for item in asked.mixture],
        [
            f"dataset {item.name!r} at {recipe.where('dataset', 'mixture', number)}"
            for number, item in enumerate(asked.mixture)
        ],
        proportions=asked.proportions,
        oversample=asked.oversample,
        size=asked.size,
    )
    for item, rows, count in zip(asked.mixture, parts, wanted, strict=True):
        log.info("mixture: %d of the %d rows of %s", count, len(rows), item.label)
    log.info("mixture: %d rows", sum(wanted))
    parts = [take(rows, count, seed) for rows, count in zip(parts, wanted, strict=True)]
    together = _together(parts, recipe).shuffle(seed=seed)
    return together, _together(held_out, recipe) if held_out else None


def _together(parts: list[Dataset], recipe: Recipe) -> Dataset:
    """The parts one after the other, each row with its rewards where some part names its own."""
    named = [item.rewards for item in recipe.dataset.mixture]
    if any(named):
        everything = [term.name for term in recipe.rewards]
        parts = [_marked(p, n or everything) for p, n in zip(parts, named, strict=True)]
    return _concatenated(parts, recipe.where("dataset", "mixture"), alike=not any(named))


def _marked(rows: Dataset, rewards: Sequence[str]) -> Dataset:
    """The rows with the names of the rewards that apply to them."""
    names = ",".join(name.rpartition("/")[2] for name in rewards)
    return rows.add_column("reward_names", [names] * len(rows))


def _concatenated(parts: list[Dataset], where: str, *, alike: bool = True) -> Dataset:
    from datasets import concatenate_datasets

    first = parts[0]
    for number, part in enumerate(parts if alike else ()):
        if set(part.column_names) != set(first.column_names):
            raise UsageError(
                f"the parts of {where} have different columns: {sorted(first.column_names)} in "
                f"part 0, {sorted(part.column_names)} in part {number}; "
                "name the ones to keep, for each part, with columns"
            )
    try:
        if alike:
            parts = [part.select_columns(first.column_names) for part in parts]
        return concatenate_datasets(parts)
    except ValueError as error:  # the same name for text here and a number there
        raise UsageError(
            f"the parts of {where} have columns of different types: {one_line(error)}"
        ) from error
