"""What a dataset is made of, before anything is trained on it."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r1cli.data.text import text_of, words_of
from r1cli.problem import problem_hash
from r1cli.scoring import BoundReward

if TYPE_CHECKING:
    from datasets import Dataset

SHOWN = 5  # row numbers of a finding
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


@dataclass(frozen=True)
class Finding:
    """Something to know about the rows. `fatal` is what no training can do with.

    Row numbers count from 1.
    """

    what: str
    count: int
    rows: list[int]
    fatal: bool = False


def columns(rows: Dataset) -> list[dict[str, Any]]:
    """One row per column: its type, how many values are missing, the first that is not."""
    table = []
    for name, kind in rows.features.items():
        present = next((value for value in rows[name] if value is not None), None)
        table.append(
            {
                "column": name,
                "type": _type(kind),
                "missing": rows.with_format("arrow")[name].null_count,
                "first": _short.repr(present),
            }
        )
    return table


def _type(kind: Any) -> str:
    """A feature in a word or two: `string`, `list of int64`, `messages`."""
    from datasets import List

    if isinstance(kind, (List, list)):
        inside = kind.feature if isinstance(kind, List) else kind[0]
        if isinstance(inside, dict) and {"role", "content"} <= set(inside):
            return "messages"
        return f"list of {_type(inside)}"
    if isinstance(kind, dict):
        return f"struct of {', '.join(kind)}"
    return str(getattr(kind, "dtype", kind))


def duplicates(rows: Dataset, column: str) -> Finding:
    """Rows that ask what an earlier one asks, blanks and case aside; what asks nothing is none."""
    seen: set[str] = set()
    again = []
    for number, value in enumerate(rows[column], 1):
        words = words_of(value)
        key = problem_hash(words)
        if words and key in seen:
            again.append(number)
        seen.add(key)
    return Finding(f"ask the same as an earlier row ({column})", len(again), again[:SHOWN])


def empty(rows: Dataset, column: str) -> Finding:
    found = [n for n, value in enumerate(rows[column], 1) if not text_of(value).strip()]
    return Finding(f"have no text in {column}", len(found), found[:SHOWN], bool(found))


def lacking(rows: Dataset, rewards: Sequence[BoundReward]) -> list[Finding]:
    """The columns that rewards want and the rows lack."""
    return [
        Finding(
            f"lack column {name!r}, which reward {reward.name!r} wants: rename one",
            len(rows),
            [],
            True,
        )
        for reward in rewards
        for name in reward.columns.required
        if name not in rows.column_names
    ]


def over(lengths: Sequence[int], room: int) -> Finding:
    """Rows whose prompt takes more tokens than there is room for."""
    long = [number for number, length in enumerate(lengths, 1) if length > room]
    return Finding(f"are longer than the {room} tokens there is room for", len(long), long[:SHOWN])


def gold(unjudged: Sequence[int], rewards: Sequence[BoundReward]) -> Finding:
    """Rows, counted from 0 by `check_gold`, whose gold answer no reward can judge."""
    names = " or ".join(repr(reward.name) for reward in rewards)
    first = [number + 1 for number in unjudged[:SHOWN]]
    return Finding(f"have a gold answer that {names} cannot read", len(unjudged), first)


def quantiles(lengths: Sequence[int]) -> dict[str, float]:
    """The least, the greatest and those between, by share of the rows."""
    ordered = sorted(lengths)
    last = len(ordered) - 1
    shares = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: ordered[round(share * last)] for name, share in shares.items()}
