"""`r1 records`: every attempt ever sampled; see docs/records.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from r1cli.records import Attempt

app = typer.Typer(help="List, show and export every attempt ever sampled.", no_args_is_help=True)

RECORDS = typer.Option(Path("runs/records"), help="The store.")
RUN = typer.Option(None, help="The rollouts of this run directory instead.")
MODEL = typer.Option("", help="Only of this model: its name, or 4 digits of its key or more.")
SOURCE = typer.Option("", help="Only of generate, pass_rate, eval or rollout.")
PROBLEM = typer.Option("", help="Only at this problem: the start of its hash.")
JSON = typer.Option(False, "--json", help="Print JSON.")

DAY = 86_400
SHOWN = 10


@app.command("list")
def list_(
    records: Path = RECORDS,
    run: Path | None = RUN,
    model: str = MODEL,
    source: str = SOURCE,
    problem: str = PROBLEM,
    json: bool = JSON,
) -> None:
    """What there is: prompts, attempts, tokens and mean rewards by model, engine and sampling."""
    from datetime import datetime

    from r1cli import ui
    from r1cli.records.table import GROUPED, groups

    rows = groups(_attempts(records, run, _filter(model, source, problem)))
    columns = [*GROUPED, "prompts", "attempts", "tokens", "last", "rewards"]
    if not json:
        for row in rows:
            row["last"] = str(datetime.fromtimestamp(row["last"]))[:16] if row["last"] else "-"
            row["rewards"] = ", ".join(f"{k} {v:.3g}" for k, v in row["rewards"].items())
    ui.table(rows, columns, as_json=json, empty=f"no attempts in {run or records}")


@app.command()
def show(
    which: str = typer.Argument(help="The start of an attempt's id, key or problem."),
    records: Path = RECORDS,
    run: Path | None = RUN,
    limit: int = typer.Option(SHOWN, min=1, help="Attempts to show."),
    json: bool = JSON,
) -> None:
    """Attempts in full: the prompt, the text, what was said of it."""
    from itertools import islice

    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.records.table import flat

    def wanted(attempt: Attempt) -> bool:
        return attempt.id.startswith(which) or attempt.problem.startswith(which)

    found = list(islice(filter(wanted, _attempts(records, run, None)), limit))
    if not found:
        raise UsageError(f"no attempt at {which!r} in {run or records}; see: r1 records list")
    if json:
        ui.show_json([flat(attempt) for attempt in found])
        return
    for attempt in found:
        rows = [{"what": name, "value": value} for name, value in flat(attempt).items()]
        ui.table(rows, ["what", "value"], title=attempt.id)


@app.command()
def export(
    out: Path = typer.Option(..., help="The file to write: .jsonl, .jsonl.gz or .parquet."),
    records: Path = RECORDS,
    run: Path | None = RUN,
    model: str = MODEL,
    source: str = SOURCE,
    problem: str = PROBLEM,
    json: bool = JSON,
) -> None:
    """One flat row per attempt, its rewards as columns."""
    from r1cli import ui
    from r1cli.data.row_writer import RowWriter, check_out
    from r1cli.errors import UsageError
    from r1cli.records.table import flat

    check_out(out, run / "rollouts" if run else records)
    with RowWriter(out) as writer:
        for attempt in _attempts(records, run, _filter(model, source, problem)):
            writer.write(flat(attempt))
        if not writer.count:
            raise UsageError(f"no such attempt in {run or records}; {out} is not written")
    ui.table([{"rows": writer.count, "file": str(out)}], ["rows", "file"], as_json=json)


@app.command()
def gc(
    records: Path = RECORDS,
    model: str = typer.Option(
        "", help="Drop those of this model: its name, or 4 digits of its key or more."
    ),
    source: str = typer.Option("", help="Drop those of this source."),
    older_than: int | None = typer.Option(None, min=0, metavar="DAYS", help="Drop older ones."),
    json: bool = JSON,
) -> None:
    """Merge shards, drop repeats; drop the attempts for which every given option holds."""
    import time
    from dataclasses import asdict

    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.records.sweep import sweep

    if not (records / "store.json").exists():
        raise UsageError(f"no attempt store at {records}")
    before = None if older_than is None else time.time() - older_than * DAY
    drop = None
    if model or source or before is not None:
        drop = _filter(model, source, "", before)
    row = asdict(sweep(records, drop))
    ui.table([row], list(row), as_json=json)


def _filter(
    model: str, source: str, problem: str, before: float | None = None
) -> Callable[[dict[str, Any]], bool]:
    from typing import get_args

    from r1cli.errors import UsageError, suggest
    from r1cli.records import matching
    from r1cli.records.attempt import Source

    if source and source not in get_args(Source):
        raise UsageError(
            f"no source {source!r}, given at --source; {suggest(source, get_args(Source))}"
        )
    return matching(model=model, source=source, problem=problem, before=before)


def _attempts(
    records: Path, run: Path | None, keep: Callable[[dict[str, Any]], bool] | None
) -> Iterator[Attempt]:
    """Of the store, or of a run's rollouts; the same attempts either way."""
    from r1cli.records import Store
    from r1cli.records.rollouts import rollouts

    if run is not None:
        yield from (a for a in rollouts(run) if keep is None or keep(a.to_row()))
        return
    with Store(records) as store:
        yield from store.scan(keep) if keep else store.scan()
