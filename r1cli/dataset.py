"""From the recipe's `dataset` to rows: load by name, rename columns, mix."""

from __future__ import annotations

import hashlib
import json
import logging
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1cli import signature
from r1cli.data.mixture import counts, take
from r1cli.errors import PluginError, UsageError, suggest
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
        from r1cli.data import curriculum  # which finds attempts by the hashes of this module

        rows = curriculum.choose(rows, recipe, plugins, frozen)
    return rows, held_out


def _split(recipe: Recipe, plugins: Plugins) -> tuple[Dataset, Dataset | None]:
    require("train", "datasets")
    asked = recipe.dataset
    seed = recipe.seed if asked.seed is None else asked.seed
    if asked.test_split_size is not None and asked.oversample:
        rows, held_out = _mixed(recipe, plugins, seed, share=asked.test_split_size)
    else:
        rows = _mixed(recipe, plugins, seed)[0] if asked.mixture else _single(recipe, plugins)
        if asked.test_split_size is None:
            return rows, None
        rows, held_out = _hold_out(rows, asked.test_split_size, recipe, seed)
    assert held_out is not None
    log.info("dataset: %d rows to train on, %d held out", len(rows), len(held_out))
    return rows, held_out


def _hold_out(rows: Dataset, size: float, recipe: Recipe, seed: int) -> tuple[Dataset, Dataset]:
    try:
        split = rows.train_test_split(test_size=size, seed=seed)
    except ValueError as error:
        raise UsageError(
            f"test_split_size {recipe.dataset.test_split_size} at "
            f"{recipe.where('dataset', 'test_split_size')} does not fit {len(rows)} rows; "
            f"use a share below 1 or fewer than {len(rows)} rows"
        ) from error
    return split["train"], split["test"]


def _single(recipe: Recipe, plugins: Plugins) -> Dataset:
    (item,) = recipe.dataset.items
    where = recipe.where("dataset")
    rows = load_rows(item.name, item.args, plugins, seed=recipe.seed, where=where)
    return rename(rows, item.columns, f"{where} columns")


def _mixed(
    recipe: Recipe, plugins: Plugins, seed: int, share: float = 0
) -> tuple[Dataset, Dataset | None]:
    """The mixture, and what is held out of its parts before any row is repeated: a `share` of each,
    or so many rows of all."""
    asked = recipe.dataset
    parts = []
    for number, item in enumerate(asked.mixture):
        where = recipe.where("dataset", "mixture", number)
        rows = load_rows(item.name, item.args, plugins, seed=recipe.seed, where=where)
        rows = rename(rows, item.columns, f"{where} columns")
        parts.append(rows.select_columns(list(item.columns)) if item.columns else rows)
    held_out = []
    if share:
        share = share if share < 1 else share / sum(map(len, parts))
        split = [_hold_out(rows, share, recipe, seed) for rows in parts]
        parts, held_out = [train for train, _ in split], [test for _, test in split]
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
            f"the parts of {where} have columns of different types: {_line(error)}"
        ) from error


def bind_dataset(
    name: str, args: Mapping[str, Any], plugins: Plugins, *, seed: int, where: str
) -> tuple[Any, dict[str, Any]]:
    """The dataset function called `name` and its checked arguments."""
    function = plugins["datasets"].get(name, where).load()
    bound = signature.bind(
        function, args, what=f"dataset {name!r}", where=where, services={"seed": seed}
    )
    return function, bound


def load_rows(
    name: str, args: Mapping[str, Any], plugins: Plugins, *, seed: int = 0, where: str = "dataset"
) -> Dataset:
    """Call a registered dataset and make its rows a `datasets.Dataset`.

    A column that some rows lack is None there. Raises UsageError for a column of mixed types and
    for no rows, PluginError for what are not rows.
    """
    require("train", "datasets")
    from datasets import Dataset

    function, bound = bind_dataset(name, args, plugins, seed=seed, where=where)
    rows = function(**bound)
    if not isinstance(rows, Dataset):
        rows = _table(rows, f"dataset {name!r} at {where}")
    if not len(rows):
        raise UsageError(f"dataset {name!r} at {where} is empty")
    return rows


def _table(returned: Any, what: str) -> Dataset:
    from datasets import Dataset
    from pyarrow import ArrowException

    try:
        rows = [dict(row) for row in returned]
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"{what} returned no rows but {type(returned).__name__}: {reprlib.repr(returned)}"
        ) from error
    # Dataset.from_list would take the columns from the first row only, and drop the others.
    names = dict.fromkeys(name for row in rows for name in row)
    table = {name: [row.get(name) for row in rows] for name in names}
    try:
        return Dataset.from_dict(table)
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} holds half a character, {error.object[error.start]!r}") from error
    except ArrowException as error:
        for name, values in table.items():
            types = sorted({type(value).__name__ for value in values if value is not None})
            if len(types) > 1 and types != ["float", "int"]:
                raise UsageError(
                    f"column {name!r} of {what} mixes {' and '.join(types)}; give it one type"
                ) from error
        raise UsageError(f"{what} is no table: {_line(error)}") from error


def rename(rows: Dataset, columns: Mapping[str, str], where: str) -> Dataset:
    """`columns` maps each wanted name to a present one; a present name may serve twice.

    A present column whose name is wanted for another one is dropped.
    """
    present = list(rows.column_names)
    new_names: dict[str, str] = {}
    for wanted, source in columns.items():
        if source not in present:
            raise UsageError(
                f"no column {source!r} for {wanted!r} at {where}; {suggest(source, present)}"
            )
        if source in new_names:
            copy = f"{wanted} from {source}"
            rows = rows.add_column(copy, rows.with_format("arrow")[source][:])
            source = copy
        new_names[source] = wanted
    replaced = [name for name in columns if name in present and name not in new_names]
    return rows.remove_columns(replaced).rename_columns(new_names) if columns else rows


def fingerprint(rows: Dataset) -> str:
    """A hash of the content, the same on every machine."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]


def problem_hash(prompt: Any) -> str:
    """What identifies a problem wherever it is met: a hash of its prompt."""
    return hashlib.sha256(json.dumps(prompt, sort_keys=True).encode()).hexdigest()[:16]


def question(prompt: Any) -> str | None:
    """The text of a prompt that is one, or whose only turn after a system prompt is the user's."""
    if isinstance(prompt, str):
        return prompt
    turns = [turn for turn in prompt if turn["role"] != "system"]
    return turns[0]["content"] if [turn["role"] for turn in turns] == ["user"] else None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
