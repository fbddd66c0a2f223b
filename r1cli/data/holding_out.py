"""Rows held out from training: problems with all their rows, so that none is on both sides."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from r1cli.data.text import COLUMNS, words_of
from r1cli.errors import UsageError
from r1cli.problem import problem_hash

if TYPE_CHECKING:
    from datasets import Dataset


def hold_out(
    parts: Sequence[Dataset], sizes: Sequence[float], seed: int, setting: str
) -> tuple[list[Dataset], list[Dataset]]:
    """Of each part the rows to train on and those held out.

    A size is a share of the part's problems, or a number of them; rows that ask the same, blanks
    and case aside, are one problem. Where each row is its own, the split is that of `datasets`,
    open-r1's. A row of one part whose problem another holds out is in neither. Raises UsageError,
    with the `setting` that asked for it, where a size does not fit.
    """
    problems = [_problems(rows) for rows in parts]
    splits = [_split(keys, size, seed, setting) for keys, size in zip(problems, sizes, strict=True)]
    unseen = {keys[n] for keys, (_, tests) in zip(problems, splits, strict=True) for n in tests}
    train, held_out = [], []
    for rows, keys, (trained, tests) in zip(parts, problems, splits, strict=True):
        kept = rows.select([n for n in trained if keys[n] not in unseen])
        if len(set(keys)) < len(rows):
            kept = kept.shuffle(seed=seed)  # the rows of a problem apart again
        train.append(kept)
        held_out.append(rows.select(tests))
    return train, held_out


def _problems(rows: Dataset) -> list[Hashable]:
    """A key per row: of what it asks, or one of its own where that is nothing."""
    column = next((name for name in COLUMNS if name in rows.column_names), None)
    if column is None:
        return [object() for _ in range(len(rows))]
    return [problem_hash(words) if words else object() for words in map(words_of, rows[column])]


def _split(
    keys: list[Hashable], size: float, seed: int, setting: str
) -> tuple[list[int], list[int]]:
    """The numbers of the rows to train on and of those held out."""
    from datasets import Dataset

    together: dict[Hashable, list[int]] = {}
    for number, key in enumerate(keys):
        together.setdefault(key, []).append(number)
    if not size:
        return list(range(len(keys))), []
    groups = Dataset.from_dict({"rows": list(together.values())})
    try:
        split = groups.train_test_split(test_size=size, seed=seed)
    except ValueError as error:
        what = "rows" if len(together) == len(keys) else f"problems of {len(keys)} rows"
        raise UsageError(
            f"{setting} does not fit {len(together)} {what}; "
            f"use a share below 1 or fewer than {len(together)}"
        ) from error
    train, test = ([n for group in split[side]["rows"] for n in group] for side in split)
    return train, test
