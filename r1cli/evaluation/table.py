"""Scores as rows for a terminal, and as Markdown for a card or a paper's appendix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Scores = Sequence[Mapping[str, Any]]
"""Scores as `Score.to_dict` gives them and run.json keeps them."""


def rows(scores: Scores) -> list[dict[str, str]]:
    """One row per score: per cent with 95 % intervals, shares, and the spec they hold for.

    A column is there if one of the scores has it.
    """
    table = [_row(score) for score in scores]
    columns = dict.fromkeys(name for row in table for name in row)
    order = sorted(columns, key=lambda name: name in LAST)
    return [{name: row.get(name, "") for name in order} for row in table]


def markdown(scores: Scores) -> str:
    """A Markdown table, with a line below it that says what the intervals are. "" for none."""
    if not scores:
        return ""
    table = rows(scores)
    lines = [list(table[0]), ["---"] * len(table[0]), *(list(row.values()) for row in table)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    methods = sorted({score["interval"] for score in scores if score.get("interval")})
    named = f" ({'; '.join(methods)})" if methods else ""
    return f"{text}\nIntervals are 95 %{named}; equal specs compare.\n"


LAST = (
    *("problems", "samples", "tokens", "truncated %", "unparseable %"),
    *("not applicable", "failed", "spec"),
)


def _row(score: Mapping[str, Any]) -> dict[str, str]:
    row = {
        "benchmark": score["benchmark"],
        "score": score["label"],
        "% [95 % interval]": _with_interval(score),
    }
    if majority := score.get("majority"):
        row["majority"] = _with_interval(majority)
    for k, estimate in (score.get("pass_at") or {}).items():
        row[f"pass@{k}"] = _with_interval(estimate)
    for name, mean in score["measures"].items():
        row[name] = _percent(mean)
    unparseable = score.get("unparseable")
    row |= {
        "problems": str(score["problems"]),
        "samples": str(score["samples"]),
        "tokens": f"{score['tokens']:.0f}",
        "truncated %": _percent(score["truncated"]),
        "unparseable %": "-" if unparseable is None else _percent(unparseable),
    }
    if score["not_applicable"]:
        row["not applicable"] = str(score["not_applicable"])
    if score["failed"]:
        row["failed"] = str(score["failed"])
    return {**row, "spec": score["spec"]}


def _with_interval(estimate: Mapping[str, Any]) -> str:
    low, mean, high = (_percent(estimate[name]) for name in ("low", "mean", "high"))
    return f"{mean} [{low}, {high}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
