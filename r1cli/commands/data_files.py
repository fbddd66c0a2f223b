"""`r1 data convert|push|pull|make`: rows from one place to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import arguments, installed_plugins
from r1cli.commands.data_options import ARG, DATASET, JSON, ON_ERROR, OnError

if TYPE_CHECKING:
    from r1cli.data.source import Rows

OUT = typer.Option(..., help="The file to write: .jsonl, .jsonl.gz or .parquet.")
REPO = typer.Argument(help="owner/name on the hub, or a name under your account.")


def convert(
    dataset: str = DATASET,
    out: Path = typer.Argument(help="The file to write: .jsonl, .jsonl.gz or .parquet."),
    rename: list[str] = typer.Option(
        [], metavar="WANTED=PRESENT", help="Another name for a column; repeatable."
    ),
    arg: list[str] = ARG,
    on_error: OnError = ON_ERROR,
) -> None:
    """Write the rows of any dataset as JSON lines or Parquet."""
    from r1cli.errors import UsageError

    names: dict[str, str] = {}
    for pair in rename:
        wanted, _, present = pair.partition("=")
        if not (wanted and present):
            raise UsageError(f"--rename {pair!r} is not of the form WANTED=PRESENT")
        if present in names or wanted in names.values():
            raise UsageError(f"--rename {pair!r}: one of the two has another --rename already")
        names[present] = wanted
    _write(dataset, arguments(arg), out, on_error, names)


def pull(
    repo: str = typer.Argument(help="A dataset of the hub: owner/name."),
    out: Path = OUT,
    config: str = typer.Option("", help="Its configuration, where it has several."),
    split: str = typer.Option("train", help="Its split; train[:100] works too."),
    revision: str = typer.Option("", help="A branch, tag or commit."),
) -> None:
    """Write a dataset of the hub to a file."""
    chosen = {"config": config, "split": split, "revision": revision}
    _write(repo, {key: value for key, value in chosen.items() if value}, out, OnError.STOP)


def push(
    dataset: str = DATASET,
    repo: str = REPO,
    split: str = typer.Option("train", help="The split to write; others there stay."),
    private: bool = typer.Option(True, "--private/--public", help="Who sees a repository made."),
    arg: list[str] = ARG,
    on_error: OnError = ON_ERROR,
    json: bool = JSON,
) -> None:
    """Push rows to the hub as one split of a dataset, private unless said."""
    from r1cli import ui
    from r1cli.data.hub_files import push_rows
    from r1cli.errors import UsageError
    from r1cli.extras import require

    require("train", "huggingface_hub", "pyarrow")
    if not split.isidentifier():
        raise UsageError(f"--split {split!r} is no name for a split: use letters, digits and _")
    ui.narrate()
    rows = _rows(dataset, arguments(arg), on_error)
    about = f"Pushed by `r1 data push` from `{Path(dataset).name}`."
    done = push_rows(rows, repo, split=split, private=private, about=about, types=rows.types)
    ui.table([done], ["what", "state", "place", "files", "bytes", "commit"], as_json=json)


def make(
    what: str = typer.Argument(help="countdown, or reasoning_gym:TASK, or any dataset made here."),
    out: Path = OUT,
    size: int = typer.Option(1000, min=1, help="How many rows."),
    split: str = typer.Option("train", help="train or test: no problem is in both."),
    difficulty: int | None = typer.Option(None, min=0, help="0 is the easiest."),
    seed: int = typer.Option(0, min=0, help="Another seed, other problems."),
    arg: list[str] = ARG,
) -> None:
    """Make problems by a procedure: as many as you like, with answers that can be checked."""
    from r1cli import signature
    from r1cli.errors import UsageError

    plugins = installed_plugins()
    name, _, part = what.partition(":")
    function = plugins["datasets"].get(name).load()
    given: dict[str, Any] = {"size": size, "split": split, "seed": seed}
    if difficulty is not None:
        given["difficulty"] = difficulty
    if part:
        given["tasks"] = [part]
    known = signature.parameters(function)
    if "size" not in known:
        raise UsageError(
            f"dataset {name!r} is not made here: it takes no size; to copy rows, see: "
            "r1 data convert"
        )
    if strange := [key for key in given if key not in known]:
        raise UsageError(
            f"dataset {name!r} takes no {', '.join(strange)}; it takes: {', '.join(known)}"
        )
    _write(name, given | arguments(arg), out, OnError.STOP)


def mix(
    recipe: str = typer.Argument(help="A recipe file or a shipped name."),
    out: Path = OUT,
    test_out: Path | None = typer.Option(None, help="The rows that test_split_size holds out."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a key."),
) -> None:
    """Write the rows that a recipe would train on: renamed, mixed, without what is held out."""
    from r1cli import dataset, recipe_file, ui
    from r1cli.data.row_writer import RowWriter, check_out
    from r1cli.data.source import read_from, types_of, undecoded
    from r1cli.errors import UsageError

    ui.narrate()
    loaded = recipe_file.load(recipe, set_)
    read = [path for item in loaded.dataset.items for path in read_from(item.args)]
    check_out(out, *read)
    if test_out:
        check_out(test_out, *read, option="--test-out")
        if test_out.resolve() == out.resolve():
            raise UsageError(f"--out and --test-out are both {out}: give each a file of its own")
    train, test = dataset.load_split(loaded, installed_plugins())
    if test_out and test is None:
        raise UsageError("--test-out: the recipe holds nothing out; say dataset.test_split_size")
    for rows, file in ((train, out), (test, test_out)):
        if file and rows is not None:
            with RowWriter(file, types_of(rows.features.arrow_schema)) as writer:
                for row in undecoded(rows):
                    writer.write(row)
            ui.show(f"{writer.count} rows in {file}")


def _rows(dataset: str, args: dict[str, Any], on_error: OnError) -> Rows:
    from r1cli.data.source import Rows

    return Rows(dataset, args, installed_plugins(), on_error=on_error.value)


def _write(
    dataset: str,
    args: dict[str, Any],
    out: Path,
    on_error: OnError,
    names: dict[str, str] | None = None,
) -> None:
    """The rows of a dataset to a file; `names` maps present columns to wanted ones."""
    from r1cli import ui
    from r1cli.data.row_writer import RowWriter, check_out
    from r1cli.data.source import read_from

    ui.narrate()
    check_out(out, dataset, *read_from(args))
    rows, names = _rows(dataset, args, on_error), names or {}
    types = _renamed(rows.types, names, 1) if rows.types else {}
    with ui.progress(out.name) as progress, RowWriter(out, types) as writer:
        for row in rows:
            writer.write(_renamed(row, names, writer.count + 1))
            progress(rows.done, rows.total)
    skipped = f", {rows.skipped} skipped" if rows.skipped else ""
    ui.show(f"{writer.count} rows in {out}{skipped}")


def _renamed(row: dict[str, Any], names: dict[str, str], number: int) -> dict[str, Any]:
    """The row under the wanted names; a column whose name another one takes over goes."""
    from r1cli.errors import UsageError, suggest

    for present in names:
        if present not in row:
            raise UsageError(
                f"--rename: row {number} has no column {present!r}; {suggest(present, row)}"
            )
    taken = set(names.values()) - names.keys()
    return {names.get(name, name): value for name, value in row.items() if name not in taken}
