"""`r1 eval`: benchmarks on a model, or on stored completions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from r1cli.commands import arguments, completer, elsewhere, installed_plugins


def evaluate(
    ctx: typer.Context,
    benchmarks: list[str] = typer.Argument(
        None, help="Benchmarks by name.", autocompletion=completer("benchmarks")
    ),
    model: str = typer.Option("", help="A model directory, a run directory or a hub id."),
    completions: Path | None = typer.Option(None, help="Score this JSONL instead of a model."),
    data: Path | None = typer.Option(None, help="A local copy of the benchmark's problems."),
    engine: str = typer.Option(
        "transformers", help="What samples.", autocompletion=completer("engines")
    ),
    engine_arg: list[str] = typer.Option(
        [], "--engine-arg", metavar="KEY=VALUE", help="An argument of the engine; repeatable."
    ),
    n: int | None = typer.Option(None, min=1, help="Samples per problem."),
    temperature: float | None = typer.Option(None, min=0, help="0 is greedy."),
    top_p: float | None = typer.Option(None, min=0, max=1, help="Nucleus sampling."),
    max_tokens: int | None = typer.Option(None, min=1, help="New tokens per sample."),
    seed: int | None = typer.Option(None, min=0, help="Seed of the sampling."),
    limit: int | None = typer.Option(None, min=1, help="Only the first problems."),
    arg: list[str] = typer.Option(
        [], "--arg", metavar="KEY=VALUE", help="An argument of the benchmark's dataset."
    ),
    out: Path | None = typer.Option(None, help="Where the samples go; default runs/eval/<model>."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
    list_: bool = typer.Option(False, "--list", help="List the benchmarks."),
    on: str = elsewhere.ON,
    launch: list[str] = elsewhere.LAUNCH,
    dry_run: bool = elsewhere.DRY_RUN,
) -> None:
    """Score a model on benchmarks; sampled answers are kept, asked again only what is missing."""
    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.pipeline import benchmarks_named, measure

    plugins = installed_plugins()
    if list_:
        _list(plugins, json)
        return
    if not benchmarks:
        raise UsageError("no benchmark named; see: r1 eval --list")
    if bool(model) == (completions is not None):
        raise UsageError("give either --model or --completions")
    options = {
        "n": n,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    args: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    bound = benchmarks_named(
        benchmarks,
        plugins,
        args={**args, **arguments(arg)},
        limit=limit,
        data=str(data) if data else None,
    )
    here = Path("runs") / "eval" / (model or str(completions)).strip("/").replace("/", "--")
    elsewhere.submit(ctx, on, launch, dry_run, out or here, plugins)
    if completions is not None:
        scores = _replay(completions, bound, plugins, out)
    else:
        path = Path(model) / "model" if (Path(model) / "run.json").exists() else Path(model)
        folder = out or Path("runs") / "eval" / str(path).strip("/").replace("/", "--")
        with ui.progress("eval") as progress:
            given: dict[str, Any]
            given = {"engine": engine, "engine_args": arguments(engine_arg, "--engine-arg")}
            scores = measure(path, bound, plugins, folder, **given, progress=progress)
    rows = [
        {**s.to_dict(), "%_[95%_interval]": ui.with_interval(s.mean, s.low, s.high)} for s in scores
    ]
    if json:
        ui.show_json([s.to_dict() for s in scores])
        return
    columns = ["benchmark", "label", "%_[95%_interval]", "problems", "samples", "tokens"]
    ui.table(rows, [*columns, "truncated", "not_applicable", "seconds", "spec"])


def _list(plugins: Any, as_json: bool) -> None:
    from r1cli import ui

    rows = []
    for entry in sorted(plugins["benchmarks"].entries, key=lambda e: e.name):
        benchmark = entry.load()
        sampling = benchmark.sampling
        rows.append(
            {
                "benchmark": entry.name,
                "scorer": benchmark.scorer,
                "n": sampling.n,
                "temperature": sampling.temperature,
                "max_tokens": sampling.max_tokens,
                "plugin": entry.plugin,
                "source": benchmark.citation,
            }
        )
    ui.table(rows, list(rows[0]) if rows else [], as_json=as_json)


def _replay(path: Path, bound: Any, plugins: Any, out: Path | None) -> Any:
    import hashlib

    from r1cli.errors import UsageError
    from r1cli.evaluation import Evaluation, stored_engine

    if not path.is_file():
        raise UsageError(f"no file {path} of completions")
    key = hashlib.sha256(path.read_bytes()).hexdigest()[:10]
    folder = out or Path("runs") / "eval" / f"{path.stem}-{key}"
    scores = []
    for run, benchmark in bound:
        evaluation = Evaluation(run, benchmark, plugins)
        with stored_engine(path, evaluation) as engine:
            scores.append(evaluation.run(engine, folder / "eval", model_key=key))
    return scores
