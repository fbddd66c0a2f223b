"""`rollouts/`: every completion of every step with its rewards and advantage, as Parquet."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from r1cli import disk_errors


def write(directory: Path, step: int, rank: int, columns: dict[str, list[Any]]) -> Path:
    """One step's rollouts of one rank, whole or not at all. Returns the file.

    Columns: step, prompt (JSON messages), completion, prefill, tokens, truncated, advantage,
    outcome (`score`, `not_applicable` or `failed (why)`), and one column per reward named
    `reward/<name>` (null where it gave no score). Then the dataset columns that the rewards read;
    what Arrow has no one type for is written as JSON.
    """
    import pyarrow as pa
    from pyarrow import parquet

    name = f"step_{step:06d}.parquet" if rank == 0 else f"step_{step:06d}.rank{rank}.parquet"
    count = len(columns["completion"])
    prompts = [
        p if isinstance(p, str) else json.dumps(p, ensure_ascii=False) for p in columns["prompt"]
    ]
    arrays = {column: _array(values) for column, values in {**columns, "prompt": prompts}.items()}
    table = pa.table({"step": pa.array([step] * count, pa.int64()), **arrays})
    path = directory / name
    with disk_errors(path):
        directory.mkdir(parents=True, exist_ok=True)
        beside = directory / f".{name}.{os.getpid()}"
        try:
            parquet.write_table(table, beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    return path


def _array(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([json.dumps(v, ensure_ascii=False, default=str) for v in values])
