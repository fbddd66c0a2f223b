"""`r1 generate`: completions for a dataset's prompts, as JSONL."""

from __future__ import annotations

from pathlib import Path

import typer

from r1cli.commands import arguments, completer, elsewhere, installed_plugins


def generate(
    ctx: typer.Context,
    model: str = typer.Option(..., help="A model directory, a run directory or a hub id."),
    out: Path = typer.Option(..., help="The JSONL file to write, and to go on with."),
    dataset: str = typer.Option(
        "file", help="A registered dataset.", autocompletion=completer("datasets")
    ),
    data: Path | None = typer.Option(None, help="A file of prompts; short for --arg path=FILE."),
    arg: list[str] = typer.Option(
        [], "--arg", metavar="KEY=VALUE", help="An argument of the dataset; repeatable."
    ),
    prompt_column: str = typer.Option("prompt", help="The column that holds the prompts."),
    system_prompt: str | None = typer.Option(None, help="Put before every prompt."),
    engine: str = typer.Option(
        "transformers", help="What samples.", autocompletion=completer("engines")
    ),
    engine_arg: list[str] = typer.Option(
        [], "--engine-arg", metavar="KEY=VALUE", help="An argument of the engine; repeatable."
    ),
    n: int = typer.Option(1, min=1, help="Completions per prompt."),
    temperature: float = typer.Option(0.6, min=0, help="0 is greedy."),
    top_p: float = typer.Option(0.95, min=0, max=1, help="Nucleus sampling."),
    max_tokens: int = typer.Option(2048, min=1, help="New tokens per completion."),
    seed: int = typer.Option(0, min=0, help="Seed of the sampling."),
    limit: int | None = typer.Option(None, min=1, help="Only the first prompts."),
    on: str = elsewhere.ON,
    launch: list[str] = elsewhere.LAUNCH,
    dry_run: bool = elsewhere.DRY_RUN,
) -> None:
    """Sample completions for every prompt of a dataset; run again, only what is missing."""
    from r1cli import ui
    from r1cli.generation import Generation
    from r1cli.types import Sampling

    plugins = installed_plugins()
    elsewhere.submit(ctx, on, launch, dry_run, out.with_name(f"{out.name}.job"), plugins)
    args = arguments(arg) | ({"path": str(data)} if data else {})
    path = Path(model) / "model" if (Path(model) / "run.json").exists() else Path(model)
    generation = Generation(
        dataset,
        args,
        plugins,
        prompt_column=prompt_column,
        system_prompt=system_prompt,
        sampling=Sampling(temperature, top_p, 0, max_tokens, n, seed),
        model=str(path),
        limit=limit,
        engine_args=arguments(engine_arg, "--engine-arg"),
    )
    with ui.progress("generate") as progress:
        written, kept = generation.run(engine, out, progress)
    ui.say(f"{written} prompts sampled, {kept} kept from before: {out}")
