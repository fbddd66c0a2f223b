"""Rows to JSON lines or Parquet, one at a time; the file is whole or not there."""

from __future__ import annotations

import datetime
import gzip
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from r1cli.errors import UsageError, one_line
from r1cli.extras import require
from r1cli.files import disk_errors
from r1cli.held_files import beside

SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".parquet")
CHUNK = 10_000  # rows of a Parquet file that are held before they are written


def check_out(out: Path, *read: str | Path, option: str = "--out") -> None:
    """Raise UsageError for an `option` that cannot be written, or is or will be among what is read.

    `read` are files and folders; any that is not there is none.
    """
    if not out.name.endswith(SUFFIXES):
        raise UsageError(f"{option} {out}: rows are written as {', '.join(SUFFIXES)}")
    if out.suffix == ".parquet":
        require("train", "pyarrow")
    if out.is_dir():
        raise UsageError(f"{option} {out} is a folder")
    there = next(folder for folder in out.absolute().parents if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise UsageError(f"{option} {out}: nothing can be written in {there}")
    for path in (Path(one).expanduser() for one in read):
        if path.exists() and out.exists() and path.samefile(out):
            raise UsageError(f"{option} {out} is what is read; choose another name")
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise UsageError(f"{option} {out} is in a folder that is read, {path}; choose another")


class RowWriter:
    """A context manager; rows come through `write`. Leaving it by an error leaves no file.

    Several may write one file at a time: it is that of the last. `types` are the Arrow types of
    columns that are known to have them; a Parquet file keeps those, and finds out the others.
    """

    def __init__(self, out: Path, types: Mapping[str, Any] | None = None) -> None:
        check_out(out)
        self.out, self.types, self.count = out, types or {}, 0
        self._stack = ExitStack()

    def __enter__(self) -> RowWriter:
        with disk_errors(self.out):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            folder = self._stack.enter_context(beside(self.out))
            self._beside = folder / "rows"
            if self.out.suffix == ".parquet":
                self._chunks = _Chunks(folder, self.types)
            else:
                opened = gzip.open if self.out.suffix == ".gz" else open
                self._lines: IO[Any] = self._stack.enter_context(
                    opened(self._beside, "wt", encoding="utf-8", errors="replace")
                )
        return self

    def write(self, row: Mapping[str, Any]) -> None:
        self.count += 1
        with disk_errors(self.out):
            if self.out.suffix == ".parquet":
                self._chunks.add(row)
            else:
                self._lines.write(json.dumps(row, ensure_ascii=False, default=_text) + "\n")

    def __exit__(self, kind: object, *exc: object) -> None:
        with disk_errors(self.out), self._stack:  # closing writes, too
            if kind is None:
                if self.out.suffix == ".parquet":
                    self._chunks.join(self._beside)
                else:
                    self._lines.close()
                self._beside.replace(self.out)


class _Chunks:
    """Parquet needs one schema, and the first rows do not tell it: a column may begin with nulls.

    So each chunk is kept with its own, and all are rewritten with what fits them together.
    """

    def __init__(self, folder: Path, types: Mapping[str, Any]) -> None:
        self.folder, self.types = folder, types
        self.held: list[Mapping[str, Any]] = []
        self.schemas: list[Any] = []

    def add(self, row: Mapping[str, Any]) -> None:
        self.held.append(row)
        if len(self.held) == CHUNK:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        names = dict.fromkeys(name for row in self.held for name in row)
        if self.held and not names:
            raise UsageError("rows without any column are none in Parquet; use .jsonl")
        table = pa.table({name: self._column(name) for name in names})
        try:
            parquet.write_table(table, self.folder / f"{len(self.schemas)}.parquet")
        except pa.ArrowException as error:  # a struct without fields, of `{}`
            raise _no_place("a column", error) from error
        self.schemas.append(table.schema)
        self.held.clear()

    def _column(self, name: str) -> Any:
        import pyarrow as pa

        values = [row.get(name) for row in self.held]
        try:
            return pa.array(values, self.types.get(name))
        except UnicodeEncodeError:
            return pa.array(_encodable(values), self.types.get(name))
        except (pa.ArrowException, OverflowError) as error:
            raise _no_place(f"column {name!r}", error) from error

    def join(self, beside: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        if self.held or not self.schemas:
            self._flush()
        if len(self.schemas) == 1:
            (self.folder / "0.parquet").replace(beside)
            return
        try:
            schema = pa.unify_schemas(self.schemas, promote_options="permissive")
            with parquet.ParquetWriter(beside, schema) as writer:
                for number in range(len(self.schemas)):
                    chunk = parquet.read_table(self.folder / f"{number}.parquet")
                    tables = [schema.empty_table(), chunk]
                    writer.write_table(pa.concat_tables(tables, promote_options="permissive"))
        except pa.ArrowException as error:
            raise _no_place("a column", error) from error


def _no_place(column: str, error: Exception) -> UsageError:
    said = one_line(error)
    return UsageError(f"{column} mixes types, or has one that Parquet has not ({said}); use .jsonl")


def _encodable(value: Any) -> Any:
    """The value with what UTF-8 does not have, halves of characters, as "?"."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_encodable(one) for one in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(one) for name, one in value.items()}
    return value


def _text(value: Any) -> str:
    """What JSON has no type for and is read as text."""
    known = datetime.date, datetime.time, datetime.timedelta, Decimal
    if isinstance(value, known):
        return str(value)
    kind = type(value).__name__
    raise UsageError(f"a row holds {kind}, which JSON lines have no place for; use .parquet")
