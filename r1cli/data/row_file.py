"""A file of rows, read one at a time: JSON lines, a JSON list, Parquet, CSV; `.gz` where customary.

JSON lines and Parquet are read in constant memory; a JSON list and CSV are held.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic_core import from_json

from r1cli.data.csv_table import SHOWN, csv_table
from r1cli.errors import UsageError, one_line
from r1cli.extras import require

log = logging.getLogger(__name__)

Row = dict[str, Any]

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
}
BATCH = 1024  # rows of a Parquet file that are decoded together
BYTES = 2**16  # of JSON lines, likewise


class RowFile:
    """The rows of one file, columns as they are; iterate to read.

    `format` goes by the suffix, before an optional `.gz`, unless given. A row that cannot be read
    raises UsageError with its number and text, or is kept out and noted in `skipped` where
    `on_error` is `skip`; a Parquet file has no such rows. `done` of `total` is how far the reading
    is: bytes of JSON lines, else rows. Raises UsageError for a file that is absent, empty or not
    what its format says.
    """

    def __init__(
        self, path: str | Path, *, format: str = "auto", on_error: Literal["stop", "skip"] = "stop"
    ) -> None:
        self.path = Path(path).expanduser()
        self.on_error = on_error
        self.skipped: list[str] = []
        self.done = self.total = 0
        _check(self.path)
        self.format = _format(self.path) if format == "auto" else format

    def __iter__(self) -> Iterator[Row]:
        self.skipped.clear()
        empty = True
        for rows in self._batches():
            empty = empty and not rows
            yield from rows
        self.warn()
        if empty:
            raise UsageError(f"{self.path} has no rows{self._left()}")

    def table(self) -> Any:
        """All rows as a `pyarrow.Table` with the types of the file; Parquet and CSV only."""
        with _errors(self.path):
            table = _parquet(self.path).read() if self.format == "parquet" else self._csv()
        self.warn()
        if not table.num_rows:
            raise UsageError(f"{self.path} has no rows{self._left()}")
        return table

    def warn(self) -> None:
        """Say how many rows were skipped, and the first."""
        if self.skipped:
            said = f"skipped {len(self.skipped)} bad rows; the first: {self.skipped[0]}"
            log.warning("%s: %s", self.path, said)

    def _left(self) -> str:
        return f" after {len(self.skipped)} bad ones were skipped" if self.skipped else ""

    def _batches(self) -> Iterator[list[Row]]:
        with _errors(self.path):
            if self.format == "jsonl":
                yield from self._json_lines()
            elif self.format == "json":
                yield self._json_list()
            elif self.format == "csv":
                yield from self._counted(self._csv().to_batches(BATCH))
            else:
                opened = _parquet(self.path)
                self.total = opened.metadata.num_rows
                yield from self._counted(opened.iter_batches(BATCH))

    def _csv(self) -> Any:
        table = csv_table(self.path, self.on_error, self.skipped)
        self.total = table.num_rows
        return table

    def _counted(self, batches: Any) -> Iterator[list[Row]]:
        for batch in batches:
            self.done += batch.num_rows
            yield batch.to_pylist()

    def _json_lines(self) -> Iterator[list[Row]]:
        with self.path.open("rb") as raw:
            self.total = self.path.stat().st_size
            lines: Any = gzip.GzipFile(fileobj=raw) if self.path.suffix == ".gz" else raw
            before = 0
            while block := lines.readlines(BYTES):
                rows = []
                for number, line in enumerate(block, start=before + 1):
                    try:
                        row = from_json(line, cache_strings="keys")  # twice as fast as `json.loads`
                    except ValueError:
                        row = _parsed(line)
                    if isinstance(row, dict):
                        rows.append(row)
                    elif row is not None or line.strip():
                        self._bad(f"line {number}", line.decode(errors="replace"), row)
                before += len(block)
                self.done = raw.tell()
                yield rows

    def _json_list(self) -> list[Row]:
        lines = "for one object per line give format: jsonl"
        text = self.path.read_bytes()
        try:
            items = json.loads(gzip.decompress(text) if self.path.suffix == ".gz" else text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{self.path} is not JSON: {one_line(error)}; {lines}") from error
        if not isinstance(items, list):
            kind = type(items).__name__
            raise UsageError(f"{self.path} is a JSON {kind}, not a list of objects; {lines}")
        self.done = self.total = len(items)
        for number, item in enumerate(items):
            if not isinstance(item, dict):
                self._bad(f"item {number}", item, item)
        return [item for item in items if isinstance(item, dict)]

    def _bad(self, place: str, text: object, row: object) -> None:
        """Note a row that is none, or raise; `row` is what it is instead, or the error."""
        why = one_line(row) if isinstance(row, Exception) else "it is no JSON object"
        if self.on_error == "stop":
            raise UsageError(
                f"{self.path} {place} ({one_line(text, SHOWN)}) is no row: {why}; "
                "fix it, or say on_error=skip"
            )
        self.skipped.append(f"{place} ({one_line(text, SHOWN)}): {why}")


def _parsed(line: bytes) -> Any:
    """The value of a line that only `json` takes, or its error; None for a blank line."""
    stripped = line.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        return json.loads(stripped) if stripped else None
    except json.JSONDecodeError as error:
        return ValueError(f"{error.msg} at character {error.pos + 1}")
    except (ValueError, RecursionError) as error:
        return error


def _parquet(path: Path) -> Any:
    require("train", "pyarrow")
    from pyarrow import ArrowInvalid, parquet

    try:
        return parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise UsageError(f"{path} is not a Parquet file: {one_line(error)}") from error


def _format(path: Path) -> str:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"cannot tell the format of {path} from its suffix {suffix!r}; "
            f"give format, or use one of {', '.join(SUFFIXES)}"
        )
    return SUFFIXES[suffix]


def _check(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it, or give it to hub as id")
    if not path.exists():
        raise UsageError(f"no such file: {path} (looked in {path.absolute().parent})")
    if not path.is_file():
        raise UsageError(f"{path} is a pipe or a device; put its rows into a file first")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty")


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UsageError(f"{path} is not a whole gzip file: {one_line(error)}") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or one_line(error)}") from error
