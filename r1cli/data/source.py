"""What a data command is given, by one word: a file, a registered dataset, a folder or a hub id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from r1cli.data.row_file import SUFFIXES, Row, RowFile
from r1cli.data.rows import load_rows
from r1cli.errors import UsageError
from r1cli.extras import require
from r1cli.plugins import Plugins

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 1024  # rows of a loaded dataset that are read together


def named(what: str, args: Mapping[str, Any], plugins: Plugins) -> tuple[str, dict[str, Any]]:
    """The registered dataset and arguments that `what` stands for.

    A file goes to `file`, a folder or `owner/name` to `hub`, anything else is a dataset's name.
    """
    path = Path(what).expanduser()
    if not path.is_dir() and (path.exists() or _looks_like_a_file(what)):
        return "file", {"path": what, **args}
    if what in plugins["datasets"]:
        return what, dict(args)
    if path.is_dir() or "/" in what:
        return "hub", {"id": what, **args}
    known = ", ".join(plugins["datasets"].names())
    raise UsageError(
        f"{what!r} is no file, no folder, no hub id (owner/name) and no dataset; known: {known}"
    )


def read_from(args: Mapping[str, Any]) -> list[str]:
    """The files and folders that the arguments of a dataset name; a hub id may be among them."""
    return [str(args[key]) for key in ("path", "id") if key in args]


def load(what: str, args: Mapping[str, Any], plugins: Plugins) -> Dataset:
    """All rows of `what`, as a `datasets.Dataset`."""
    name, given = named(what, args, plugins)
    return load_rows(name, given, plugins, where="the command line")


class Rows:
    """The rows of `what`, one at a time. A file of JSON lines or Parquet is never held.

    `done` of `total` tells how far an iteration is.
    """

    def __init__(
        self,
        what: str,
        args: Mapping[str, Any],
        plugins: Plugins,
        *,
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        name, given = named(what, args, plugins)
        self.file: RowFile | None = None
        self._done = 0
        if name == "file" and given.keys() <= {"path", "format", "on_error"}:
            self.file = RowFile(**{"on_error": on_error, **given})
        else:
            self.rows = load_rows(name, given, plugins, where="the command line")

    def __iter__(self) -> Iterator[Row]:
        if self.file:
            yield from self.file
            return
        for row in undecoded(self.rows):
            self._done += 1
            yield row

    @property
    def types(self) -> dict[str, Any]:
        """The Arrow types of the columns, where their source has any: not JSON."""
        if self.file is None:
            return types_of(self.rows.features.arrow_schema)
        if self.file.format != "parquet":
            return {}
        require("train", "pyarrow")
        from pyarrow import ArrowInvalid, parquet

        try:
            return types_of(parquet.read_schema(self.file.path))
        except ArrowInvalid:
            return {}  # no Parquet file, as reading it will say

    @property
    def done(self) -> int:
        return self.file.done if self.file else self._done

    @property
    def total(self) -> int:
        return self.file.total if self.file else len(self.rows)

    @property
    def skipped(self) -> int:
        """Rows that could not be read."""
        return len(self.file.skipped) if self.file else 0


def undecoded(rows: Dataset) -> Iterator[Row]:
    """The rows as they are stored: of an image its bytes, which a file has a place for."""
    for table in rows.with_format("arrow").iter(BATCH):
        yield from table.to_pylist()


def types_of(schema: Any) -> dict[str, Any]:
    """The columns of an Arrow schema, for `RowWriter`."""
    return dict(zip(schema.names, schema.types, strict=True))


def _looks_like_a_file(what: str) -> bool:
    return Path(what.removesuffix(".gz")).suffix.lower() in SUFFIXES
