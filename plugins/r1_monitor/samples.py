"""A few rollouts of the first, the middle and the last step, as the policy wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from r1_monitor.page import Markup, folded, tag
from r1cli import require

PER_STEP = 4
LONGEST = 4000
"""Characters of a completion shown; of a longer one the middle is left out."""


def browser(directory: Path) -> list[Markup]:
    """The sample browser of a run's `rollouts/`; empty where there are none.

    Raises MissingExtra without pyarrow.
    """
    files = sorted(path for path in directory.glob("step_*.parquet") if ".rank" not in path.name)
    if not files:
        return []
    require("train", "pyarrow")
    chosen = dict.fromkeys((files[0], files[len(files) // 2], files[-1]))
    return [_step(path, opened=path == files[-1]) for path in chosen]


def _step(path: Path, *, opened: bool) -> Markup:
    from pyarrow import parquet

    rows = parquet.read_table(path).to_pylist()
    rows.sort(key=lambda row: -(row.get("advantage") or 0.0))
    few = spread(rows, PER_STEP)
    title = f"step {int(path.stem.removeprefix('step_'))}: {len(few)} of {len(rows)} completions"
    shown = folded(f"{title}, from the highest advantage to the lowest", *map(_sample, few))
    return Markup(shown.replace("<details>", "<details open>", 1)) if opened else shown


def spread(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """`count` rows, evenly over the list, both ends included."""
    if len(rows) <= count:
        return rows
    return [rows[number * (len(rows) - 1) // (count - 1)] for number in range(count)]


def _sample(row: dict[str, Any]) -> Markup:
    numbers = [f"advantage {_number(row.get('advantage'))}"]
    for key, value in row.items():
        if key.startswith("reward/"):
            numbers.append(f"{key.removeprefix('reward/')} {_number(value)}")
    numbers.append(f"{row.get('tokens', '?')} tokens")
    if row.get("truncated"):
        numbers.append("truncated")
    completion = tag(
        "pre", tag("span", row.get("prefill") or "", kind="faint"), shorten(row["completion"] or "")
    )
    return tag(
        "div",
        tag("div", " · ".join(numbers), kind="numbers"),
        tag("pre", shorten(question(row["prompt"])), kind="faint"),
        completion,
        kind="sample",
    )


def question(prompt: str) -> str:
    """What the user asked: rollouts hold the prompt as text or as JSON messages."""
    try:
        messages = json.loads(prompt)
        return str(messages[-1]["content"])
    except (ValueError, TypeError, LookupError):
        return str(prompt)


def shorten(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"


def _number(value: Any) -> str:
    return "not applicable" if value is None else f"{value:.3g}"
