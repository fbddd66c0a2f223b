"""`r1 reward score|diff|bench`: rewards on files of completions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from r1cli.commands import completer, elsewhere, installed_plugins

if TYPE_CHECKING:
    from r1cli.lab.table_file import Samples
    from r1cli.types import Outcome

NAMES = completer("rewards")
NAME = typer.Argument(help="A reward.", autocompletion=NAMES)
FILE = typer.Argument(help="Completions: JSONL, Parquet, or a folder of Parquet files.")
ARG = typer.Option([], "--arg", metavar="REWARD.KEY=VALUE", help="An argument of a reward.")
COLUMN = typer.Option([], metavar="WANTED=PRESENT", help="Another name for a column of the file.")
COMPLETION_COLUMN = typer.Option("", help="The column of completions; default completion.")
JSON = typer.Option(False, "--json", help="Print JSON.")


def score(
    ctx: typer.Context,
    file: Path = FILE,
    reward: list[str] = typer.Option([], help="A reward; may be given more than once."),
    arg: list[str] = ARG,
    column: list[str] = COLUMN,
    completion_column: str = COMPLETION_COLUMN,
    out: Path | None = typer.Option(None, help="Write rows and scores: .jsonl or .parquet."),
    on: str = elsewhere.ON,
    launch: list[str] = elsewhere.LAUNCH,
    dry_run: bool = elsewhere.DRY_RUN,
    json: bool = JSON,
) -> None:
    """Score a file of completions; print how the scores lie."""
    from contextlib import ExitStack

    from r1cli import ui
    from r1cli.data.row_writer import check_out
    from r1cli.errors import UsageError
    from r1cli.lab import named, table_file
    from r1cli.lab.batches import batches, scored_by, scored_here
    from r1cli.lab.distribution import histogram, summary
    from r1cli.scoring import Scorer

    plugins = installed_plugins()
    if not reward:
        raise UsageError("no --reward named; see: r1 reward list")
    if out is not None:
        check_out(out)
    rewards = named.rewards(reward, arg, plugins)
    folder = elsewhere.folder_of(out or Path(file.name))
    pool = elsewhere.workers(ctx, on, launch, dry_run, folder, plugins)
    samples = _samples(file, column, completion_column)
    samples.check(rewards)
    scored: dict[int, tuple[Outcome, ...]] = {}
    with ExitStack() as stack:
        found = batches(samples, rewards)
        if pool:
            judged = scored_by(pool, reward, arg, found)
        else:
            judged = scored_here(stack.enter_context(Scorer(rewards)), found)
        progress = stack.enter_context(ui.progress("score"))
        for batch, several in judged:
            scored.update(zip(batch.places, zip(*several, strict=True), strict=True))
            progress(len(scored), len(samples))
    outcomes = list(zip(*(scored[place] for place in range(len(samples))), strict=True))
    if out is not None:
        by_name = {r.name: o for r, o in zip(rewards, outcomes, strict=True)}
        table_file.write_scores(out, samples.rows, by_name)
        ui.say(f"wrote {len(samples)} rows to {out}")
    rows = [summary(r.name, o) for r, o in zip(rewards, outcomes, strict=True)]
    ui.table(rows, list(rows[0]), as_json=json)
    if not json:
        for one, scores in zip(rewards, outcomes, strict=True):
            bars = histogram(scores)
            ui.table(bars, ["value", "count", ""], title=one.name, empty=f"{one.name}: no score")


def diff(
    file: Path = FILE,
    a: str = typer.Argument(help="A reward, a file that `score` wrote, or a column of FILE."),
    b: str = typer.Argument(help="The same, to compare with."),
    reward: str = typer.Option("", help="Which scores, in files that hold several."),
    arg: list[str] = ARG,
    column: list[str] = COLUMN,
    completion_column: str = COMPLETION_COLUMN,
    limit: int = typer.Option(20, min=1, help="Rows to print."),
    json: bool = JSON,
) -> None:
    """The rows that two rewards, or two versions of their scores, judge differently."""
    from r1cli import ui
    from r1cli.lab import named
    from r1cli.lab.compare import compare, series

    plugins = installed_plugins()
    samples = _samples(file, column, completion_column)
    args = named.arguments(arg, [a, b])
    first, second = (
        series(what, samples, args.get(what, {}), plugins, column=reward) for what in (a, b)
    )
    found = compare(first, second)
    changed = [
        {"row": i + 1, "a": first[i], "b": second[i], "completion": samples.completions[i][-60:]}
        for i in found.changed[:limit]
    ]
    counts = found.counts()
    if json:
        ui.show_json({"a": a, "b": b, **counts, "changes": changed})
        return
    ui.table([counts], list(counts))
    ui.table(
        [{**row, a: row["a"], f"{b} ": row["b"]} for row in changed],
        ["row", a, f"{b} ", "completion"],  # the blank keeps two columns where a is b
        empty="no row changed",
    )


def bench(
    name: str = NAME,
    file: Path | None = typer.Argument(None, help="Completions; default its golden cases."),
    arg: list[str] = ARG,
    column: list[str] = COLUMN,
    completion_column: str = COMPLETION_COLUMN,
    seconds: float = typer.Option(3.0, min=0.1, help="How long to repeat."),
    json: bool = JSON,
) -> None:
    """Samples per second in batches of 64, and the wait for one."""
    from r1cli import ui
    from r1cli.lab import named
    from r1cli.lab.throughput import measure, repeated

    plugins = installed_plugins()
    [reward] = named.rewards([name], arg, plugins)
    if file is not None:
        samples = _samples(file, column, completion_column)
        samples.check([reward])
        data = (samples.completions, samples.prompts, samples.columns)
    else:
        data = repeated(plugins["rewards"].get(name))
    rows = measure(reward, *data, seconds=seconds)
    ui.table(rows, list(rows[0]), as_json=json)


def _samples(file: Path, column: list[str], completion_column: str) -> Samples:
    from r1cli.errors import UsageError
    from r1cli.lab import table_file

    renamed = dict(pair.partition("=")[::2] for pair in column)
    for pair in column:
        if not all(pair.partition("=")):
            raise UsageError(f"--column {pair!r} is not of the form wanted=present")
    return table_file.read(file, completion_column=completion_column, renamed=renamed)
