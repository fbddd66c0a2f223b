"""Rows of one file: JSON lines, a JSON list, Parquet or CSV, with `.gz` where that is customary."""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from r1cli import UsageError

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
}
SHOWN = 80  # characters of a bad row in a message

Rows = list[dict[str, Any]]


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
    source = Path(path).expanduser()
    _check(source)
    kind = _format(source) if format == "auto" else format
    skipped: list[str] = []
    try:
        if kind == "parquet":
            rows: Rows | Dataset = _parquet(source)
        elif kind == "csv":
            rows = _csv(source, skipped, on_error)
        else:
            read = _jsonl if kind == "jsonl" else _json
            rows = list(_checked(read(source), source, skipped, on_error))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UsageError(f"{source} is not a whole gzip file: {_line(error)}") from error
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror or _line(error)}") from error
    if skipped:
        log.warning("%s: skipped %d bad rows; the first: %s", source, len(skipped), skipped[0])
    if not len(rows):
        left = f" after {len(skipped)} bad ones were skipped" if skipped else ""
        raise UsageError(f"{source} has no rows{left}")
    return rows


def _format(source: Path) -> str:
    suffix = Path(source.name.removesuffix(".gz")).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"cannot tell the format of {source} from its suffix {suffix!r}; "
            f"give format, or use one of {', '.join(SUFFIXES)}"
        )
    return SUFFIXES[suffix]


def _check(source: Path) -> None:
    if source.is_dir():
        raise UsageError(f"{source} is a folder; name a file in it, or give it to hub as id")
    if not source.exists():
        raise UsageError(f"no such file: {source} (looked in {source.absolute().parent})")
    if source.stat().st_size == 0:
        raise UsageError(f"{source} is empty")


def _open(source: Path) -> IO[bytes]:
    return gzip.open(source) if source.suffix == ".gz" else source.open("rb")  # type: ignore[return-value]


def _jsonl(source: Path) -> Iterator[tuple[str, Any, Any]]:
    """The place of each row, its text, and the row or the error that it could not be read for."""
    with _open(source) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                row: Any
                try:
                    row = json.loads(line.removeprefix(b"\xef\xbb\xbf").strip())
                except json.JSONDecodeError as error:
                    row = ValueError(f"{error.msg} at character {error.pos + 1}")
                except (ValueError, RecursionError) as error:
                    row = error
                yield f"line {number}", line, row


def _json(source: Path) -> Iterator[tuple[str, Any, Any]]:
    """The same for the items of a list."""
    lines = "for one object per line give format: jsonl"
    with _open(source) as text:
        try:
            items = json.loads(text.read())
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{source} is not JSON: {_line(error)}; {lines}") from error
    if not isinstance(items, list):
        kind = type(items).__name__
        raise UsageError(f"{source} is a JSON {kind}, not a list of objects; {lines}")
    for number, item in enumerate(items):
        yield f"item {number}", item, item


def _checked(
    rows: Iterator[tuple[str, Any, Any]], source: Path, skipped: list[str], on_error: str
) -> Iterator[dict[str, Any]]:
    for place, text, row in rows:
        if isinstance(row, dict):
            yield row
            continue
        why = _line(row) if isinstance(row, Exception) else "it is no JSON object"
        shown = _line(text.decode(errors="replace") if isinstance(text, bytes) else text)
        if on_error == "stop":
            raise UsageError(
                f"{source} {place} ({shown}) is no row: {why}; fix it, or give on_error: skip"
            )
        skipped.append(f"{place} ({shown}): {why}")


def _csv(source: Path, skipped: list[str], on_error: str) -> Dataset:
    from datasets import Dataset
    from pyarrow import ArrowInvalid, csv

    def skip(row: Any) -> str:
        skipped.append(
            f"row {row.number} ({_line(row.text)}): {row.actual_columns} columns "
            f"instead of {row.expected_columns}"
        )
        return "skip" if on_error == "skip" else "error"

    try:
        table = csv.read_csv(
            str(source),  # decompressed by suffix
            # One thread: only then does pyarrow know the number of a bad row.
            read_options=csv.ReadOptions(use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        )
    except ArrowInvalid as error:
        hint = "; fix it, or give on_error: skip" if skipped else ""
        why = skipped[0] if skipped else _line(error)
        raise UsageError(f"{source} is not well-formed CSV: {why}{hint}") from error
    if binary := [f.name for f in table.schema if str(f.type) == "binary"]:
        raise UsageError(f"{source} is not UTF-8 text in column {binary[0]!r}")
    if doubled := sorted({n for n in table.column_names if table.column_names.count(n) > 1}):
        raise UsageError(f"{source} has column {doubled[0]!r} twice in its first row")
    return Dataset(table)


def _parquet(source: Path) -> Dataset:
    from datasets import Dataset
    from pyarrow import ArrowInvalid, parquet

    try:
        return Dataset(parquet.read_table(str(source)))
    except ArrowInvalid as error:
        raise UsageError(f"{source} is not a Parquet file: {_line(error)}") from error


def _line(text: object) -> str:
    """The text in one short line."""
    line = " ".join(str(text).split())
    return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."
