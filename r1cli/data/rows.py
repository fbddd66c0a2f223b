"""The rows of a registered dataset: called by name, made a `datasets.Dataset`, renamed."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from r1cli import signature
from r1cli.errors import PluginError, UsageError, one_line, suggest
from r1cli.extras import require
from r1cli.plugins import Plugins

if TYPE_CHECKING:
    from datasets import Dataset


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
    except (ArrowException, OverflowError):
        for name, values in table.items():
            _check_column(f"column {name!r} of {what}", values)
        raise


def _check_column(what: str, values: list[Any]) -> None:
    """Raise UsageError for values that no column of a table can hold."""
    from datasets import Dataset
    from pyarrow import ArrowException

    try:
        Dataset.from_dict({"column": values})
    except (ArrowException, OverflowError) as error:
        types = sorted({type(value).__name__ for value in values if value is not None})
        if len(types) > 1 and types != ["float", "int"]:
            raise UsageError(f"{what} mixes {' and '.join(types)}; give it one type") from error
        raise UsageError(f"{what} has no type of a table: {one_line(error)}") from error


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
