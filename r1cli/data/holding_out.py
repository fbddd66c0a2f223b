"""Rows held out from training: problems with all their rows, so that none is on both sides."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from r1cli.data.mixture import apportioned
from r1cli.data.text import COLUMNS, words_of
from r1cli.errors import UsageError
from r1cli.problem import problem_hash

if TYPE_CHECKING:
    from datasets import Dataset

Places = dict[Hashable, list[int]]
"""The row numbers of each problem, in the order of the first ones."""


def hold_out(
    parts: Sequence[Dataset], size: float, seed: int, setting: str
) -> tuple[list[Dataset], list[Dataset]]:
    """Of each part the rows to train on and those held out.

    `size` is a share of all problems, or a number of them, drawn from each part by how many it has;
    one of several parts is the first's, and held out with the rows of all. Rows that ask the same,
    blanks and case aside, are one problem. Where each row is its own, the split is that of
    `datasets`, open-r1's. Raises UsageError, with the `setting` that asked for it, where the size
    does not fit.
    """
    from numpy.random import default_rng

    places = [_places(rows) for rows in parts]
    met: set[Hashable] = set()
    own: list[list[Hashable]] = []
    for there in places:
        own.append([problem for problem in there if problem not in met])
        met.update(there)
    number = size if isinstance(size, int) else math.ceil(size * len(met))
    if number >= len(met):
        rows_in_all = sum(map(len, parts))
        what = "rows" if len(met) == rows_in_all else f"problems of {rows_in_all} rows"
        raise UsageError(
            f"{setting} does not fit {len(met)} {what}; "
            f"use a share below 1 or fewer than {len(met)}"
        )
    held: set[Hashable] = set()
    orders: list[list[Hashable]] = []
    for mine, count in zip(own, apportioned(number, [len(p) / len(met) for p in own]), strict=True):
        orders.append([mine[n] for n in default_rng(seed).permutation(len(mine))])
        held.update(orders[-1][:count])
    train, held_out = [], []
    for rows, there, order in zip(parts, places, orders, strict=True):
        problems = dict.fromkeys([*order, *there])  # those of earlier parts last
        kept = rows.select([n for p in problems if p not in held for n in there[p]])
        if len(order) < len(rows):
            kept = kept.shuffle(seed=seed)  # the rows of a problem apart again
        train.append(kept)
        held_out.append(rows.select([n for p in problems if p in held for n in there[p]]))
    return train, held_out


def _places(rows: Dataset) -> Places:
    """The rows by what they ask; one that asks nothing is a problem of its own.

    What it asks is in the column that training reads, else in the first that says something: the
    parts of a mixture may have different ones.
    """
    asked = [""] * len(rows)
    for name in dict.fromkeys(("prompt", "messages", *COLUMNS)):
        if name in rows.column_names and not all(asked):
            asked = [one or _asked(value) for one, value in zip(asked, rows[name], strict=True)]
    places: Places = {}
    for number, one in enumerate(asked):
        places.setdefault(one or object(), []).append(number)
    return places


def _asked(value: Any) -> str:
    words = words_of(value)
    return problem_hash(words) if words else ""
