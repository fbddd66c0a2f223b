"""`r1 eval`: benchmarks on a model, or on stored completions."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import arguments, completer, elsewhere, installed_plugins
from r1cli.commands import cross_check as cross_checking

if TYPE_CHECKING:
    from r1cli.evaluation import Score
    from r1cli.evaluation.cross_check import CrossCheck
    from r1cli.plugins import Plugins


def evaluate(
    ctx: typer.Context,
    benchmarks: list[str] = typer.Argument(
        None, help="Benchmarks by name.", autocompletion=completer("benchmarks")
    ),
    model: str = typer.Option("", help="A model directory, a run directory or a hub id."),
    completions: Path | None = typer.Option(None, help="Score this JSONL or Parquet, no model."),
    completion_column: str = typer.Option("", help="Its column of completions."),
    recipe: str = typer.Option(
        "", help="Take benchmarks, system prompt and code provider from it."
    ),
    data: Path | None = typer.Option(None, help="A local copy of the benchmark's problems."),
    engine: str = typer.Option(
        "",
        help="What samples; default the recipe's, or transformers.",
        autocompletion=completer("engines"),
    ),
    engine_arg: list[str] = typer.Option(
        [], "--engine-arg", metavar="KEY=VALUE", help="An argument of the engine; repeatable."
    ),
    url: str = typer.Option("", help="Short for --engine-arg url=..."),
    n: int | None = typer.Option(None, min=1, help="Samples per problem; more adds to the stored."),
    k: str = typer.Option("", metavar="1,4,8", help="Also pass@k, for each k."),
    temperature: float | None = typer.Option(None, min=0, help="0 is greedy."),
    top_p: float | None = typer.Option(None, min=0, max=1, help="Nucleus sampling."),
    max_tokens: int | None = typer.Option(None, min=1, help="New tokens per sample."),
    seed: int | None = typer.Option(None, min=0, help="Seed of the sampling."),
    limit: int | None = typer.Option(None, min=1, help="Only the first problems."),
    prompt: str | None = typer.Option(None, help="Ask by this format string over columns."),
    system_prompt: str | None = typer.Option(
        None, help="Ask after this system prompt; '' is none."
    ),
    prefill: str | None = typer.Option(None, help="Make every answer begin with this."),
    scorer: str = typer.Option(
        "", help="Score by this reward.", autocompletion=completer("rewards")
    ),
    cross_check: str = cross_checking.CROSS_CHECK,
    column: list[str] = typer.Option(
        [], metavar="WANTED=PRESENT", help="Another name for a column of the data; repeatable."
    ),
    arg: list[str] = typer.Option(
        [], "--arg", metavar="KEY=VALUE", help="An argument of the benchmark's dataset."
    ),
    out: Path | None = typer.Option(None, help="Where the samples go; default runs/eval/<model>."),
    records: Path = typer.Option(Path("runs/records"), help="The attempt store."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
    markdown: bool = typer.Option(False, "--markdown", help="Print Markdown."),
    list_: bool = typer.Option(False, "--list", help="List the benchmarks."),
    on: str = elsewhere.ON,
    launch: list[str] = elsewhere.LAUNCH,
    dry_run: bool = elsewhere.DRY_RUN,
) -> None:
    """Score a model on benchmarks; sampled answers are kept, asked again only what is missing."""
    from r1cli import recipe_file, ui
    from r1cli.errors import UsageError
    from r1cli.evaluation.binding import benchmarks_named
    from r1cli.evaluation.measuring import measure
    from r1cli.evaluation.stored import measure_stored

    plugins = installed_plugins()
    if list_:
        _list(plugins, json)
        return
    asked = recipe_file.load(recipe) if recipe else None
    if not benchmarks and not (asked and asked.benchmarks):
        raise UsageError("no benchmark named; see: r1 eval --list")
    if bool(model) == (completions is not None):
        raise UsageError("give either --model or --completions")
    sampling = {
        "n": n,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    args = {key: value for key, value in sampling.items() if value is not None} | arguments(arg)
    options: dict[str, Any] = {
        "limit": limit,
        "data": str(data) if data else None,
        "prompt": prompt,
        "system_prompt": system_prompt,
        "prefill": prefill,
        "scorer": {"name": scorer} if scorer else None,
        "columns": arguments(column, "--column") or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    bound = benchmarks_named(
        *(benchmarks or [], plugins, asked),
        args=args,
        engine=engine,
        engine_args=arguments(engine_arg, "--engine-arg") | ({"url": url} if url else {}),
        **given,
    )
    ks = _ks(k)
    path = Path(model) / "model" if (Path(model) / "run.json").exists() else Path(model)
    named = (str(path) if model else str(completions)).strip("/").replace("/", "--")
    folder = out or Path("runs") / "eval" / named
    elsewhere.submit(ctx, on, launch, dry_run, folder, plugins)
    code = asked.code if asked else None
    checkers = cross_checking.checkers(cross_check, bound, plugins)
    with ui.progress("eval") as progress:
        if completions is not None:
            scores, folder = measure_stored(
                completions,
                *(bound, plugins, out),
                column=completion_column,
                code=code,
                ks=ks,
                progress=progress,
            )
        else:
            scores = measure(
                *(path, bound, plugins, folder / "eval"),
                code=code,
                ks=ks,
                records=records,
                progress=progress,
            )
    checks = cross_checking.checked(scores, checkers, folder / "eval")
    _show(scores, checks, json, markdown)
    ui.say(f"to see the samples: {shlex.join(['r1', 'view', str(folder)])}")


def _show(
    scores: list[Score], checks: dict[str, CrossCheck], as_json: bool, as_markdown: bool
) -> None:
    from r1cli import ui
    from r1cli.evaluation import table

    found = [score.to_dict() for score in scores]
    if as_json:
        for score in found:
            if score["benchmark"] in checks:
                score["cross_check"] = checks[score["benchmark"]].to_dict()
        ui.show_json(found)
    elif as_markdown:
        ui.show(table.markdown(found).rstrip())
    else:
        rows = table.rows(found)
        ui.table(rows, list(rows[0]))
        for method in sorted({score.interval for score in scores}):
            ui.say(f"interval: {method}")
    if not as_json:
        cross_checking.show(checks.values())


def _ks(text: str) -> list[int]:
    from r1cli.errors import UsageError

    try:
        ks = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        ks = [0]
    if ks and ks[0] < 1:
        raise UsageError(f"--k {text!r} is no list of numbers of 1 or more, like 1,4,8")
    return ks


def _list(plugins: Plugins, as_json: bool) -> None:
    from r1cli import ui
    from r1cli.types import Benchmark

    rows: list[dict[str, Any]] = []
    for entry in sorted(plugins["benchmarks"].entries, key=lambda e: e.name):
        benchmark = entry.load()
        row = {"benchmark": entry.name, "plugin": entry.plugin}
        if not isinstance(benchmark, Benchmark):  # a family: its members are named after a colon
            rows.append({**row, "benchmark": f"{entry.name}:...", "source": entry.help})
            continue
        sampling = benchmark.sampling
        rows.append(
            {
                **row,
                "scorer": benchmark.scorer,
                "n": sampling.n,
                "temperature": sampling.temperature,
                "max_tokens": sampling.max_tokens,
                "source": benchmark.citation,
            }
        )
    columns = ["benchmark", "scorer", "n", "temperature", "max_tokens", "plugin", "source"]
    ui.table(rows, columns, as_json=as_json)
