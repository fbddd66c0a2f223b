"""Two series of scores over the same rows: where they differ, and how much they agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import StatisticsError, correlation
from typing import Any

from r1cli.errors import UsageError, suggest
from r1cli.lab.table_file import JSONL, PARQUET, Samples, read_rows
from r1cli.plugins import Plugins
from r1cli.scoring import Scorer, bind_reward

SAME = 1e-9
PREFIX = "reward/"

Series = Sequence[float | None]


@dataclass(frozen=True)
class Difference:
    """How two series compare; `changed` are the rows that differ, the largest change first."""

    changed: list[int]
    both: int
    only_first: int
    only_second: int
    correlation: float | None

    def counts(self) -> dict[str, Any]:
        return {
            "scored_by_both": self.both,
            "changed": len(self.changed),
            "only_a": self.only_first,
            "only_b": self.only_second,
            "correlation": self.correlation,
        }


def series(
    what: str, samples: Samples, args: Mapping[str, Any], plugins: Plugins, *, column: str = ""
) -> Series:
    """The scores that `what` names: a file written by `score`, a column, or a reward to run."""
    if Path(what).suffix in JSONL + PARQUET:
        return _from_file(Path(what), len(samples), column)
    for name in (what, PREFIX + what):
        if name in samples.columns and name not in plugins["rewards"]:
            return _numbers(samples.columns[name], f"column {name!r} of {samples.path}")
    reward = bind_reward(what, args, plugins, where="--arg")
    samples.check([reward])
    with Scorer([reward]) as scorer:
        [outcomes] = scorer.score(samples.completions, samples.prompts, samples.columns)
    return [outcome.value for outcome in outcomes]


def compare(first: Series, second: Series) -> Difference:
    pairs = list(zip(first, second, strict=True))
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    changes = {i: _change(a, b) for i, (a, b) in enumerate(pairs)}
    try:
        together = correlation([a for a, _ in both], [b for _, b in both])
    except StatisticsError:
        together = None  # fewer than two rows, or one side never varies
    return Difference(
        changed=sorted((i for i, c in changes.items() if c > SAME), key=lambda i: -changes[i]),
        both=len(both),
        only_first=sum(a is not None and b is None for a, b in pairs),
        only_second=sum(a is None and b is not None for a, b in pairs),
        correlation=together,
    )


def _change(a: float | None, b: float | None) -> float:
    if a is None or b is None:
        return 0.0 if a is b else float("inf")
    return abs(a - b)


def _from_file(path: Path, count: int, column: str) -> Series:
    rows = read_rows(path)
    present = list(dict.fromkeys(name for row in rows for name in row))
    scored = [name for name in present if name.startswith(PREFIX)]
    if not column and len(scored) == 1:
        [column] = scored
    name = column if column in present else PREFIX + column
    if name not in present:
        said = f"no column {column!r} in {path}" if column else f"{path} has {len(scored)} scores"
        raise UsageError(f"{said}; name one with --reward: {suggest(column, scored or present)}")
    if len(rows) != count:
        raise UsageError(f"{path} has {len(rows)} rows, the completions are {count}")
    return _numbers([row.get(name) for row in rows], f"column {name!r} of {path}")


def _numbers(values: Sequence[Any], where: str) -> Series:
    for number, value in enumerate(values, start=1):
        if value is not None and (not isinstance(value, (int, float)) or math.isinf(value)):
            raise UsageError(f"row {number}, {where}: {value!r} is no score")
    # pandas and TRL write NaN where there is no score.
    return [None if value is None or value != value else float(value) for value in values]
