"""Completions from JSONL or Parquet: TRL's `completions_*.parquet`, our rollouts, anyone's rows.

A completion is text, a list of chat messages (the last one counts), or a list of texts, which are
samples of one prompt. `prefill`, `tokens` and `truncated` are used where a row has them; every
column is a dataset column to the rewards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1cli.data.row_writer import RowWriter
from r1cli.errors import UsageError, one_line, suggest
from r1cli.extras import require
from r1cli.scoring import BoundReward
from r1cli.types import Completion, Outcome, Prompt

JSONL, PARQUET = (".jsonl", ".ndjson"), (".parquet",)
OF_A_COMPLETION: dict[str, type] = {"prefill": str, "tokens": int, "truncated": bool}
COMPLETION_COLUMNS = ("completion", "completions", "response", "output", "generation", "text")
SHOWN = 60  # characters of a bad row in a message

Row = dict[str, Any]


@dataclass(frozen=True)
class Samples:
    """The completions of a file; `rows[i]` is the row that sample i came from."""

    path: Path
    rows: list[Row]
    completions: list[Completion]
    prompts: list[Prompt]
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.completions)

    def check(self, rewards: Sequence[BoundReward]) -> None:
        """Raise UsageError where a reward wants a column that no row has."""
        for reward in rewards:
            if not reward.per_sample and "prompt" not in self.columns:
                raise UsageError(
                    f"reward {reward.name!r} compares completions of one prompt; {self.path} has "
                    f"no column 'prompt', but {', '.join(self.columns)}; name it with "
                    "--column prompt=..."
                )
            for column in reward.columns.required:
                if column not in self.columns:
                    raise UsageError(
                        f"reward {reward.name!r} wants column {column!r}; {self.path} has "
                        f"{', '.join(self.columns)}; rename one with --column {column}=..."
                    )


def read(
    path: Path, *, completion_column: str = "", renamed: Mapping[str, str] | None = None
) -> Samples:
    """The samples of a file, or of all Parquet files of a folder.

    `renamed` maps each wanted column to one that is present. Raises UsageError for what cannot be
    read: a wrong suffix, no rows, a broken line (with its number), no such column.
    """
    rows = read_rows(path)
    present = list(dict.fromkeys(name for row in rows for name in row))
    name = completion_column or next((n for n in COMPLETION_COLUMNS if n in present), "")
    if not name or name not in present:
        missing = f"no column {name!r}" if name else "no column of completions"
        raise UsageError(
            f"{missing} in {path}, which has {', '.join(present)}; name it with --completion-column"
        )
    flat = [one for number, row in enumerate(rows, start=1) for one in _flat(row, name, number)]
    columns = {column: [row.get(column) for row in flat] for column in present}
    for wanted, source in (renamed or {}).items():
        if source not in columns:
            raise UsageError(
                f"no column {source!r} for {wanted!r} in {path}, given at --column; "
                f"{suggest(source, present)}"
            )
        columns[wanted] = [row.get(source) for row in flat]
    completions = [
        completion_of(row[name], row, f"row {number} of {path}")
        for number, row in enumerate(flat, start=1)
    ]
    prompts = [_prompt(value) for value in columns.get("prompt", [""] * len(flat))]
    return Samples(path, flat, completions, prompts, columns)


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSONL or Parquet file, or of a folder of Parquet files in name order."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in PARQUET)
        if not files:
            raise UsageError(f"no .parquet file in {path}; a run has them in rollouts/")
        return [row for file in files for row in read_rows(file)]
    if path.suffix not in JSONL + PARQUET:
        raise UsageError(f"{path} is neither JSONL ({', '.join(JSONL)}) nor Parquet (.parquet)")
    if not path.is_file():
        raise UsageError(f"no file {path}")
    rows = _parquet(path) if path.suffix in PARQUET else _jsonl(path)
    if not rows:
        raise UsageError(f"{path} is empty: it has no rows to score")
    return rows


def write_scores(path: Path, rows: Sequence[Row], scores: Mapping[str, Sequence[Outcome]]) -> None:
    """The rows with `reward/<name>` and `outcome/<name>` added, as JSONL or Parquet by suffix."""
    with RowWriter(path) as writer:
        for place, row in enumerate(rows):
            added: Row = {}
            for name, outcomes in scores.items():
                added[f"reward/{name}"] = outcomes[place].value
                added[f"outcome/{name}"] = outcomes[place].status
            writer.write({**row, **added})


def completion_of(value: Any, row: Row, where: str) -> Completion:
    """Text, messages or a saved completion as a Completion, with what the row knows of it."""
    if isinstance(value, dict) and "text" in value:
        value, row = value["text"], value
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    if not isinstance(value, str):
        raise UsageError(f"the completion in {where} is {type(value).__name__}, expected text")
    known = {name: row[name] for name in OF_A_COMPLETION if row.get(name) is not None}
    for name, said in known.items():
        if isinstance(said, float) and said.is_integer():  # of a column that lacks some
            known[name] = int(said)
        elif not isinstance(said, OF_A_COMPLETION[name]):
            kind = OF_A_COMPLETION[name].__name__
            raise UsageError(f"column {name!r} is {said!r} in {where}, expected {kind}")
    return Completion(value, **known)


def _flat(row: Row, name: str, number: int) -> list[Row]:
    """One row per sample: a list of texts is taken apart, with the lists that go with it."""
    texts = row.get(name)
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        return [row]
    along = [
        column
        for column in (name, *OF_A_COMPLETION)
        if isinstance(row.get(column), list) and len(row[column]) == len(texts)
    ]
    return [{**row, **{c: row[c][i] for c in along}} for i in range(len(texts))]


def _prompt(value: Any) -> Prompt:
    """Our rollouts hold messages as JSON text."""
    if isinstance(value, str) and value.startswith("[{"):
        try:
            return list(json.loads(value))
        except ValueError:
            return value
    return value if isinstance(value, (str, list)) else str(value or "")


def _jsonl(path: Path) -> list[Row]:
    rows = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"row {number} of {path} is not JSON: {line[:SHOWN]!r}") from error
        if not isinstance(row, dict):
            raise UsageError(f"row {number} of {path} is no JSON object: {line[:SHOWN]!r}")
        rows.append(row)
    return rows


def _parquet(path: Path) -> list[Row]:
    require("train", "pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return list(parquet.read_table(path).to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} is no Parquet file: {one_line(error)}") from error
