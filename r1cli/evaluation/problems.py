"""A benchmark's problems: rows loaded, prepared and renamed, and the prompt of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from r1cli.data.rows import load_rows
from r1cli.errors import UsageError
from r1cli.plugins import Plugins
from r1cli.sampling import messages
from r1cli.types import Benchmark, Message

Row = dict[str, Any]

QUESTIONS = ("problem", "question", "prompt", "query", "instruction")
"""Columns that may hold what is asked, under whatever template."""


def load_problems(
    benchmark: Benchmark, plugins: Plugins, *, limit: int | None, name: str
) -> list[Row]:
    """The first `limit` problems, each with the columns that the benchmark names.

    Raises UsageError for rows that lack one.
    """
    what = f"benchmark {name!r}"
    rows = load_rows(benchmark.dataset, benchmark.args, plugins, where=what)
    if benchmark.prepare:
        try:
            rows = list(islice(benchmark.prepare(rows, **benchmark.prepare_args), limit))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"the rows of {what} are not as in its source ({benchmark.citation}): "
                f"{type(error).__name__} {error}"
            ) from error
        if not rows:
            raise UsageError(f"{what} has no problem left after {dict(benchmark.prepare_args)}")
    kept = [dict(row) for row in islice(rows, limit)]
    present = dict.fromkeys(column for row in kept for column in row)
    chosen = pick_columns(list(present), benchmark.columns, what)
    return [_renamed(row, chosen) for row in kept]


def pick_columns(
    present: Sequence[str], wanted: Mapping[str, Sequence[str]], where: str
) -> dict[str, str]:
    """For each wanted column the first of its known names that is present."""
    chosen = {}
    for name, aliases in wanted.items():
        found = [alias for alias in aliases if alias in present]
        if not found:
            raise UsageError(
                f"no column for {name!r} in {where}: looked for {', '.join(aliases)}; "
                f"it has {', '.join(present)}"
            )
        chosen[name] = found[0]
    return chosen


def prompts(benchmark: Benchmark, problems: Sequence[Row], name: str) -> list[list[Message]]:
    """What the model is asked. Raises UsageError for a prompt that names no column, and for a
    problem that has nothing in one of those it names."""
    found = []
    for number, row in enumerate(problems):
        given = {column: value for column, value in row.items() if value is not None}
        try:
            found.append(messages(benchmark.prompt.format(**given), benchmark.system_prompt))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            if error.args[0] in row:
                raise UsageError(
                    f"problem {number} of benchmark {name!r} has no {error.args[0]!r}, which the "
                    "prompt asks for; give it one, or leave the problem out of the data"
                ) from error
            raise UsageError(
                f"the prompt of benchmark {name!r} wants {error}; the problems have "
                f"{', '.join(problems[0])}; a brace that is meant is written twice"
            ) from error
    return found


def question(problem: Mapping[str, Any]) -> str:
    """The text that a problem is known by under every template; "" where no column holds one."""
    texts = [text for name in QUESTIONS if isinstance(text := problem.get(name), str)]
    return max(texts, key=len, default="")


def _renamed(row: Row, chosen: Mapping[str, str]) -> Row:
    """The chosen columns under their wanted names, then those that no name was chosen for."""
    used = set(chosen.values())
    others = {k: v for k, v in row.items() if k not in used and k not in chosen}
    return {**{wanted: row.get(source) for wanted, source in chosen.items()}, **others}
