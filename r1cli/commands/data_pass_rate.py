"""`r1 data pass-rate`: rows that a model solves neither never nor always."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from r1cli.commands import arguments, completer, elsewhere, installed_plugins
from r1cli.commands.data_options import ARG, DATASET, JSON

SHOWN = 10  # row numbers of what could not be judged


def pass_rate(
    ctx: typer.Context,
    dataset: str = DATASET,
    model: str = typer.Option(..., help="A model or run directory, or a hub id."),
    reward: list[str] = typer.Option(
        ...,
        help="What says that an answer is right; repeatable.",
        autocompletion=completer("rewards"),
    ),
    reward_arg: list[str] = typer.Option(
        [], metavar="REWARD.KEY=VALUE", help="An argument of a reward; repeatable."
    ),
    weight: list[str] = typer.Option(
        [], metavar="REWARD=NUMBER", help="The weight of a reward; default 1."
    ),
    low: float = typer.Option(0.1, "--min", help="The least rate to keep."),
    high: float = typer.Option(0.9, "--max", help="The greatest."),
    inclusive: bool = typer.Option(True, "--inclusive/--exclusive", help="Keep rates at a bound?"),
    k: int = typer.Option(1, min=1, help="The rate is pass@k; 1 is the mean score."),
    threshold: float = typer.Option(1.0, help="With --k: the least score that passes."),
    keep_unjudged: bool = typer.Option(False, help="Keep rows that no reward could judge."),
    out: Path | None = typer.Option(None, help="The rows to keep: .jsonl, .jsonl.gz or .parquet."),
    rates: Path | None = typer.Option(None, help="All rows with their rate."),
    arg: list[str] = ARG,
    prompt_column: str = typer.Option("prompt", help="What holds the prompts."),
    system_prompt: str | None = typer.Option(None, help="Put before every prompt without one."),
    engine: str = typer.Option(
        "transformers", help="What samples.", autocompletion=completer("engines")
    ),
    engine_arg: list[str] = typer.Option(
        [], "--engine-arg", metavar="KEY=VALUE", help="An argument of the engine; repeatable."
    ),
    n: int = typer.Option(8, min=1, help="Samples per row."),
    temperature: float = typer.Option(0.6, min=0, help="0 is greedy."),
    top_p: float = typer.Option(0.95, min=0, max=1, help="Nucleus sampling."),
    max_tokens: int = typer.Option(2048, min=1, help="New tokens each."),
    seed: int = typer.Option(0, min=0, help="Seed of the sampling."),
    limit: int | None = typer.Option(None, min=1, help="Only the first rows."),
    shard: str = typer.Option(
        "0/1", metavar="I/N", help="Sample rows I, I+N, ... only; no file is written then."
    ),
    records: Path = typer.Option(Path("runs/records"), help="Where attempts are kept."),
    on: str = elsewhere.ON,
    launch: list[str] = elsewhere.LAUNCH,
    dry_run: bool = elsewhere.DRY_RUN,
    json: bool = JSON,
) -> None:
    """Sample every row N times and keep those between two rates; asked again, only what is missing.

    Several shards share one store: when all are through, the command without --shard samples
    nothing more and writes the whole.
    """
    from r1cli import ui
    from r1cli.commands.generate import shard_of
    from r1cli.data.pass_rate import Bounds, PassRate, as_row
    from r1cli.errors import UsageError
    from r1cli.generation.recipe import load
    from r1cli.lab.distribution import bars
    from r1cli.lab.named import arguments as of_rewards

    plugins = installed_plugins()
    folder = elsewhere.folder_of(out or rates or records)
    elsewhere.submit(ctx, on, launch, dry_run, folder, plugins)
    if not low <= high:
        raise UsageError(f"--min {low:g} is above --max {high:g}, or one of them is no number")
    if out and rates and out.resolve() == rates.resolve():
        raise UsageError(f"--out and --rates are both {out}: give each a file of its own")
    if k > n:
        raise UsageError(f"--k {k} needs as many samples: raise --n {n}")
    if k > 1 and temperature == 0:
        raise UsageError(f"--k {k} needs as many samples, and --temperature 0 draws one: raise it")
    place = shard_of(shard)
    names = list(dict.fromkeys(reward))
    args, weights = of_rewards(reward_arg, names, "--reward-arg"), _weights(weight, names)
    path = Path(model)
    options: dict[str, Any] = {
        "model": str(path / "model") if (path / "run.json").exists() else model,
        "dataset.name": dataset,
        "dataset.args": arguments(arg),
        "engine.name": engine,
        "engine.args": arguments(engine_arg, "--engine-arg"),
        "prompt.column": prompt_column,
        "prompt.system": system_prompt,
        "sampling": {
            "n": n,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "seed": seed,
        },
        "rewards": [
            {"name": one, "args": args.get(one, {}), "weight": weights.get(one, 1.0)}
            for one in names
        ],
        "limit": limit,
    }
    ui.narrate()
    job = PassRate(load(None, options), plugins, shard=place)
    whole = place[1] == 1
    with ui.progress("pass-rate") as progress:
        found = job.rate(
            records,
            progress,
            bounds=Bounds(low, high, inclusive),
            k=k,
            threshold=threshold,
            keep_unjudged=keep_unjudged,
            out=out if whole else None,
            rates_out=rates if whole else None,
        )
    row = as_row(found)
    if json:
        ui.show_json(
            {**row, "unjudged_rows": found.unjudged, "histogram": _plain(bars(found.rates))}
        )
    else:
        ui.table([row], list(row))
        ui.table(bars(found.rates), ["value", "count", ""], title="pass rate", empty="no rate")
    if found.unjudged:
        first = ", ".join(map(str, found.unjudged[:SHOWN]))
        more = ", ..." if len(found.unjudged) > SHOWN else ""
        fate = "kept" if keep_unjudged else "left out"
        ui.say(f"{len(found.unjudged)} rows could not be judged and are {fate}: {first}{more}")
    if not whole and (out or rates):
        ui.say(f"shard {shard}: sampled into {records}; without --shard the files are written")
    for file in (out, rates):
        if file and whole:
            ui.say(f"written: {file}")


def _weights(pairs: list[str], names: list[str]) -> dict[str, float]:
    from r1cli.errors import UsageError, suggest

    weights = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if name not in names:
            raise UsageError(f"--weight {pair!r}: no --reward {name!r}; {suggest(name, names)}")
        try:
            weights[name] = float(number)
        except ValueError:
            raise UsageError(f"--weight {pair!r} is not of the form REWARD=NUMBER") from None
    return weights


def _plain(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bars without their picture."""
    return [{"value": bar["value"], "count": bar["count"]} for bar in drawn]
