"""Rows of one file: JSON lines, a JSON list, Parquet or CSV, with `.gz` where that is customary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from r1cli import RowFile


def file(
    *,
    path: str,
    format: Literal["auto", "jsonl", "json", "parquet", "csv"] = "auto",
    on_error: Literal["stop", "skip"] = "stop",
) -> Iterable[Mapping[str, Any]]:
    """Return the rows of the file `path`, relative to the working directory; columns as they are.

    `auto` goes by the suffix, before an optional `.gz`. A row that cannot be read raises
    UsageError with its number and text, or is skipped and counted in a warning where `on_error` is
    `skip`; a Parquet file has no such rows. Raises UsageError too for a file that is absent, not
    what its format says, or empty. The rows are held in memory: give a folder of large files to
    the dataset `hub` instead.
    """
    source = RowFile(path, format=format, on_error=on_error)
    if source.format not in ("parquet", "csv"):
        return list(source)
    from datasets import Dataset

    return Dataset(source.table())
