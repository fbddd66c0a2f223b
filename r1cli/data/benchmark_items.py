"""The problems of benchmarks and files, as what decontamination looks for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from r1cli.data.decontaminate import Item
from r1cli.data.row_file import RowFile
from r1cli.data.rows import load_rows
from r1cli.data.text import text_column, text_of
from r1cli.errors import ProviderError, UsageError
from r1cli.evaluation.binding import bind_benchmark
from r1cli.plugins import Plugins
from r1cli.recipe import BenchmarkRun

log = logging.getLogger(__name__)

RENAME = "call the one with the problems `problem`"


def benchmark_items(name: str, data: str | None, plugins: Plugins) -> list[Item]:
    """The problems of a registered benchmark, from the file `data` where one is given.

    As its dataset has them, without what the benchmark's prompt says around each.
    """
    run = BenchmarkRun(name=name, data=data)
    benchmark = bind_benchmark(run, plugins, "--against")
    try:
        rows = load_rows(benchmark.dataset, benchmark.args, plugins, where=f"--against {name}")
    except ProviderError as error:
        said = str(error).partition(";")[0]
        raise ProviderError(
            f"{said}; give a local copy: --against {name} --against-data {name}=FILE"
        ) from error
    known = [alias for alias in benchmark.columns.get("problem", ()) if alias in rows.column_names]
    column = (
        known[0]
        if known
        else text_column(rows.column_names, where=f"benchmark {name!r}", remedy=RENAME)
    )
    return _items(name, column, rows[column])


def called(path: Path) -> str:
    """What the benchmark of a file is called: like the file."""
    return path.name.partition(".")[0]


def file_items(path: Path) -> list[Item]:
    """The problems of a file."""
    rows = list(RowFile(path))
    present = list(dict.fromkeys(name for row in rows for name in row))
    column = text_column(present, where=str(path), remedy=RENAME)
    return _items(called(path), column, [row.get(column) for row in rows])


def _items(name: str, column: str, texts: Sequence[object]) -> list[Item]:
    items = [Item(name, number, text_of(text)) for number, text in enumerate(texts, 1)]
    silent = sum(not item.text.strip() for item in items)
    if silent == len(items):
        raise UsageError(f"benchmark {name!r} has no text to compare with")
    if silent:
        log.warning(
            "benchmark %s: %d of %d rows have no text in %r", name, silent, len(items), column
        )
    return items
