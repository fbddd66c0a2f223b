"""`r1 data decontaminate`: rows that overlap with a benchmark, flagged or removed."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from r1cli.commands import arguments, completer, elsewhere, installed_plugins
from r1cli.commands.data_options import ARG, DATASET, JSON, ON_ERROR, PROMPT_COLUMN, OnError

if TYPE_CHECKING:
    from r1cli.data.decontaminate import Item
    from r1cli.plugins import Plugins


class Mode(StrEnum):
    FLAG = "flag"
    REMOVE = "remove"


class Normalise(StrEnum):
    OPEN_R1 = "open-r1"
    ROBUST = "robust"


def decontaminate(
    ctx: typer.Context,
    dataset: str = DATASET,
    against: list[str] = typer.Option(
        [], help="A benchmark by its name; repeatable.", autocompletion=completer("benchmarks")
    ),
    against_data: list[str] = typer.Option(
        [], metavar="NAME=FILE", help="A local copy of the problems of a benchmark."
    ),
    against_file: list[Path] = typer.Option([], help="Any other file of problems to look for."),
    ngram: int = typer.Option(8, min=1, help="Words in a row that count as an overlap."),
    normalise: Normalise = typer.Option(
        Normalise.OPEN_R1, help="open-r1: lower case, blanks. robust: no punctuation, no LaTeX."
    ),
    mode: Mode = typer.Option(Mode.REMOVE, help="Leave rows out, or add contaminated_NAME to all."),
    dedup: bool = typer.Option(False, help="Also the later ones of equal problems."),
    prompt_column: str = PROMPT_COLUMN,
    arg: list[str] = ARG,
    out: Path | None = typer.Option(None, help="The rows: .jsonl, .jsonl.gz or .parquet."),
    report: Path | None = typer.Option(None, help="A folder for report.html, .json, hits.jsonl."),
    workers: int = typer.Option(0, min=0, help="Processes; 0 is one per core, at most 8."),
    on_error: OnError = ON_ERROR,
    on: str = elsewhere.ON,
    launch: list[str] = elsewhere.LAUNCH,
    dry_run: bool = elsewhere.DRY_RUN,
    json: bool = JSON,
) -> None:
    """Find the rows that share NGRAM words in a row with a benchmark."""
    from contextlib import ExitStack
    from itertools import chain

    from r1cli import ui
    from r1cli.data.contamination_report import HITS, Report
    from r1cli.data.decontaminate import Tally
    from r1cli.data.decontaminate import decontaminate as find
    from r1cli.data.ngrams import Index
    from r1cli.data.normalisation import LEVELS
    from r1cli.data.row_writer import RowWriter, check_out
    from r1cli.data.source import Rows, read_from
    from r1cli.data.text import text_column
    from r1cli.errors import UsageError
    from r1cli.extras import require
    from r1cli.parallel import cores, processes

    require("train", "numpy")
    ui.narrate()
    plugins = installed_plugins()
    local, given = _local(against_data), arguments(arg)
    benchmarked = (*local.values(), *map(str, against_file))
    for option, written in (("--out", out), ("--report", report and report / HITS)):
        if written:
            check_out(written, dataset, *read_from(given), *benchmarked, option=option)
    if out and report and out.resolve() == (report / HITS).resolve():
        raise UsageError(f"--out {out} is where --report {report} has its hits; choose another")
    beside = out or report or Path(Path(dataset).name)
    pool = elsewhere.workers(ctx, on, launch, dry_run, elsewhere.folder_of(beside), plugins)
    if pool and workers:
        raise UsageError(f"--workers {workers} are of this machine; launcher {on!r} has its own")
    items = _items(against, local, against_file, plugins)
    benchmarks = dict(Counter(item.benchmark for item in items))
    rows = Rows(dataset, given, plugins, on_error=on_error.value)
    through = iter(rows)
    first = next(through)
    chosen = text_column(list(first), prompt_column, f"dataset {dataset}")
    index = Index([item.text for item in items], ngram, LEVELS[normalise.value])
    tally = Tally(dict.fromkeys(benchmarks, 0))
    with ExitStack() as stack:
        writer = stack.enter_context(RowWriter(out, rows.types)) if out else None
        page = stack.enter_context(Report(report)) if report else None
        progress = stack.enter_context(ui.progress("decontaminate"))
        kept = find(
            chain([first], through),
            items,
            index,
            column=chosen,
            mode=mode.value,
            dedup=dedup,
            workers=pool or processes(workers or min(cores(), 8)),
            tally=tally,
            found=page.add if page else lambda hit: None,
        )
        for row in kept:
            if writer:
                writer.write(row)
            progress(rows.done, rows.total)
        if page:
            settings = {
                "dataset": dataset,
                "column": chosen,
                "ngram": ngram,
                "normalise": normalise.value,
                "benchmarks": benchmarks,
                "skipped": rows.skipped,
            }
            page.finish(tally, settings)
    counted = [
        {"benchmark": name, "items": benchmarks[name], "rows_hit": hit, "share": hit / tally.rows}
        for name, hit in tally.contaminated.items()
    ]
    if json:
        ui.show_json({**vars(tally), "contaminated": counted, "skipped": rows.skipped})
        return
    ui.table(counted, ["benchmark", "items", "rows_hit", "share"])
    duplicates = f", {tally.duplicates} duplicates" if dedup else ""
    ui.show(f"{tally.rows} rows: {tally.rows_hit} with a hit{duplicates}, {tally.kept} kept")
    if tally.no_text:
        ui.say(f"{tally.no_text} rows have no text in {chosen!r}")
    for path in (out, report / "report.html" if report else None):
        if path:
            ui.say(f"written: {path}")


def _local(against_data: list[str]) -> dict[str, str]:
    """The files of benchmarks of which there is a local copy."""
    from r1cli.errors import UsageError

    local: dict[str, str] = {}
    for pair in against_data:
        name, equals, file = pair.partition("=")
        if not (name and equals and file):
            raise UsageError(f"--against-data {pair!r} is not of the form NAME=FILE")
        if name in local:
            raise UsageError(
                f"--against-data {pair!r}: there is {local[name]} for {name!r} already; "
                "put both into one file, or give one with --against-file"
            )
        local[name] = file
    return local


def _items(
    against: list[str], local: dict[str, str], against_file: list[Path], plugins: Plugins
) -> list[Item]:
    from r1cli.data.benchmark_items import benchmark_items, called, file_items
    from r1cli.errors import UsageError

    names = list(dict.fromkeys([*against, *local]))
    if not names and not against_file:
        raise UsageError("nothing to compare with: give --against NAME or --against-file FILE")
    taken = set(names)
    for file in against_file:
        if called(file) in taken:
            raise UsageError(
                f"--against-file {file}: a benchmark {called(file)!r} is there already, and hits "
                "are told by the name of the file; rename it"
            )
        taken.add(called(file))
    items = [item for name in names for item in benchmark_items(name, local.get(name), plugins)]
    return items + [item for file in against_file for item in file_items(file)]
