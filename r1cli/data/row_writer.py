"""Rows to JSON lines or Parquet, one at a time; the file is whole or not there."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from r1cli.errors import UsageError
from r1cli.extras import require
from r1cli.files import disk_errors

SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".parquet")
CHUNK = 10_000  # rows of a Parquet file that are held before they are written


def check_out(out: Path, *read: str | Path) -> None:
    """Raise UsageError for an `--out` that cannot be written or is one of the files read."""
    if not out.name.endswith(SUFFIXES):
        raise UsageError(f"--out {out}: rows are written as {', '.join(SUFFIXES)}")
    if out.suffix == ".parquet":
        require("train", "pyarrow")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder")
    for path in map(Path, read):
        if path.exists() and out.exists() and path.samefile(out):
            raise UsageError(f"--out {out} is what is read; choose another name")


class RowWriter:
    """A context manager; rows come through `write`. Leaving it by an error leaves no file."""

    def __init__(self, out: Path) -> None:
        check_out(out)
        self.out, self.count = out, 0
        self._beside = out.with_name(f".{out.name}.partial")
        self._stack = ExitStack()

    def __enter__(self) -> RowWriter:
        with disk_errors(self.out):
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._stack.callback(self._beside.unlink, missing_ok=True)
            if self.out.suffix == ".parquet":
                folder = Path(tempfile.mkdtemp(prefix=f".{self.out.name}-", dir=self.out.parent))
                self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
                self._chunks = _Chunks(folder)
            else:
                self._lines: IO[Any] = self._stack.enter_context(
                    gzip.open(self._beside, "wt", encoding="utf-8")
                    if self.out.suffix == ".gz"
                    else self._beside.open("w", encoding="utf-8", errors="replace")
                )
        return self

    def write(self, row: Mapping[str, Any]) -> None:
        self.count += 1
        with disk_errors(self.out):
            if self.out.suffix == ".parquet":
                self._chunks.add(row)
            else:
                self._lines.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

    def __exit__(self, kind: object, *exc: object) -> None:
        with self._stack, disk_errors(self.out):
            if kind is None:
                if self.out.suffix == ".parquet":
                    self._chunks.join(self._beside, self.out)
                else:
                    self._lines.close()
                self._beside.replace(self.out)


class _Chunks:
    """Parquet needs one schema, and the first rows do not tell it: a column may begin with nulls.

    So each chunk is kept with its own, and all are rewritten with what fits them together.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.held, self.schemas = folder, [], []  # type: ignore[var-annotated]

    def add(self, row: Mapping[str, Any]) -> None:
        self.held.append(row)
        if len(self.held) == CHUNK:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        names = dict.fromkeys(name for row in self.held for name in row)
        try:
            table = pa.table({name: [row.get(name) for row in self.held] for name in names})
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _mixed(error) from error
        parquet.write_table(table, self.folder / f"{len(self.schemas)}.parquet")
        self.schemas.append(table.schema)
        self.held.clear()

    def join(self, beside: Path, out: Path) -> None:
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
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _mixed(error) from error


def _mixed(error: Exception) -> UsageError:
    said = " ".join(str(error).split())
    return UsageError(f"a column mixes types, which Parquet has no place for ({said}); use .jsonl")
