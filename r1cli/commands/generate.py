"""`r1 generate`: completions for a dataset's prompts, scored and kept, as rows to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import arguments, completer, elsewhere, installed_plugins

if TYPE_CHECKING:
    from r1cli.generation.recipe import GenerateRecipe

NAMED = {
    **{name: f"sampling.{name}" for name in ("n", "temperature", "top_p", "top_k", "max_tokens")},
    "seed": "sampling.seed",
    "prompt_column": "prompt.column",
    "uuid_column": "uuid",
    "system_prompt": "prompt.system",
    "prompt_template": "prompt.template",
    "dataset": "dataset.name",
    "engine": "engine.name",
    **{name: name for name in ("model", "backend", "keep", "threshold", "limit")},
}
"""The options that are keys of a recipe as they are."""


def generate(
    ctx: typer.Context,
    out: Path = typer.Option(..., help="The file to write: .jsonl, .jsonl.gz or .parquet."),
    recipe: Path | None = typer.Option(None, help="A YAML file; options override its keys."),
    model: str | None = typer.Option(None, help="A model or run directory, or a hub id."),
    dataset: str | None = typer.Option(
        None,
        help="A file, a hub id or a registered dataset.",
        autocompletion=completer("datasets"),
    ),
    data: Path | None = typer.Option(None, help="A file of prompts; the same as --dataset FILE."),
    arg: list[str] = typer.Option(
        [], "--arg", metavar="KEY=VALUE", help="An argument of the dataset; repeatable."
    ),
    prompt_column: str | None = typer.Option(None, help="What holds the prompts.  [prompt]"),
    prompt_template: str | None = typer.Option(
        None, help="Jinja over the row's columns for the user's message; @FILE reads it."
    ),
    system_prompt: str | None = typer.Option(None, help="Put before every prompt without one."),
    chat_template_kwarg: list[str] = typer.Option(
        [], metavar="KEY=VALUE", help="For the chat template: enable_thinking=false."
    ),
    uuid_column: str | None = typer.Option(None, help="What identifies a row.  [uuid]"),
    engine: str | None = typer.Option(
        None, help="What samples.  [transformers]", autocompletion=completer("engines")
    ),
    engine_arg: list[str] = typer.Option(
        [], "--engine-arg", metavar="KEY=VALUE", help="An argument of the engine; repeatable."
    ),
    backend: str | None = typer.Option(None, help="r1 or distilabel.  [r1]"),
    n: int | None = typer.Option(None, min=1, help="Completions per prompt.  [1]"),
    temperature: float | None = typer.Option(None, min=0, help="0 is greedy.  [0.6]"),
    top_p: float | None = typer.Option(None, min=0, max=1, help="Nucleus sampling.  [0.95]"),
    top_k: int | None = typer.Option(None, min=0, help="0 is all of them.  [0]"),
    max_tokens: int | None = typer.Option(None, min=1, help="New tokens each.  [2048]"),
    seed: int | None = typer.Option(None, min=0, help="Seed of the sampling.  [0]"),
    reward: list[str] = typer.Option(
        [], help="Score with it; repeatable.", autocompletion=completer("rewards")
    ),
    reward_arg: list[str] = typer.Option(
        [], metavar="REWARD.KEY=VALUE", help="An argument of a reward; repeatable."
    ),
    keep: str | None = typer.Option(None, help="all, best or correct.  [all]"),
    threshold: float | None = typer.Option(None, help="The least score of correct.  [1]"),
    limit: int | None = typer.Option(None, min=1, help="Only the first rows."),
    shard: str = typer.Option(
        "0/1", metavar="I/N", help="Sample rows I, I+N, ... only; no file is written then."
    ),
    records: Path = typer.Option(Path("runs/records"), help="Where attempts are kept."),
    push: str = typer.Option(
        "", metavar="REPO", help="Push the file to the hub, with a card; a shard pushes nothing."
    ),
    public: bool = typer.Option(False, help="With --push: let anyone see it."),
    on: str = elsewhere.ON,
    launch: list[str] = elsewhere.LAUNCH,
    dry_run: bool = elsewhere.DRY_RUN,
) -> None:
    """Sample completions for every prompt of a dataset; run again, only what is missing.

    Several shards share one store: when all are through, the command without --shard samples
    nothing more and writes the whole.
    """
    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.generation.job import Job

    plugins = installed_plugins()
    if public and not push:
        raise UsageError("--public is for --push REPO; without it nothing leaves this machine")
    elsewhere.submit(ctx, on, launch, dry_run, out.with_name(f"{out.name}.job"), plugins)
    ui.narrate(("r1cli",))
    wanted = _recipe(ctx.params)
    place = shard_of(shard)
    job = Job(wanted, plugins, shard=place)
    whole = place[1] == 1
    if push and whole:
        from r1cli.extras import require
        from r1cli.publishing.push import check_push

        require("train", "huggingface_hub", "pyarrow")
        check_push(push, "dataset", private=not public)
    with ui.progress("generate") as progress:
        tally = job.run(out if whole else None, records, progress)
    failed = f", {tally.failed} failed" if tally.failed else ""
    made = f"{tally.rows} rows: {out}" if whole else f"shard {shard} is in {records}"
    ui.say(f"{tally.sampled} samples drawn, {tally.kept} kept from before{failed}; {made}")
    if push and whole:
        from r1cli.generation.publish import publish

        row = publish(out, push, wanted, private=not public)
        ui.table([row], list(row))


def _recipe(given: dict[str, Any]) -> GenerateRecipe:
    """The recipe that the file and the options make together."""
    from r1cli.errors import UsageError
    from r1cli.generation.recipe import load

    options = {key: given[name] for name, key in NAMED.items() if given[name] is not None}
    if given["data"] and given["dataset"]:
        raise UsageError("--data is a --dataset that is a file: give one of them")
    if given["data"]:
        options["dataset.name"] = str(given["data"])
    template = options.get("prompt.template", "")
    if template.startswith("@"):
        options["prompt.template"] = _text(Path(template[1:]))
    if "model" in options:
        options["model"] = _model(options["model"])
    for name, value in arguments(given["arg"]).items():
        options[f"dataset.args.{name}"] = value
    for name, value in arguments(given["engine_arg"], "--engine-arg").items():
        options[f"engine.args.{name}"] = value
    kwargs = arguments(given["chat_template_kwarg"], "--chat-template-kwarg")
    for name, value in kwargs.items():
        options[f"prompt.chat_template_kwargs.{name}"] = value
    if given["reward"]:
        from r1cli.lab.named import arguments as of_rewards

        names = list(dict.fromkeys(given["reward"]))
        args = of_rewards(given["reward_arg"], names, "--reward-arg")
        options["rewards"] = [{"name": name, "args": args.get(name, {})} for name in names]
    elif given["reward_arg"]:
        raise UsageError("--reward-arg is for a --reward; in a recipe write it under rewards")
    recipe = load(given["recipe"], options)
    if given["threshold"] is not None and recipe.keep != "correct":
        raise UsageError(f"--threshold is for --keep correct, not {recipe.keep}: leave it out")
    return recipe


def _model(name: str) -> str:
    """A run directory stands for the policy that it trained."""
    path = Path(name)
    return str(path / "model") if (path / "run.json").exists() else name


def _text(path: Path) -> str:
    from r1cli.errors import UsageError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--prompt-template @{path} cannot be read: {error}") from error


def shard_of(text: str) -> tuple[int, int]:
    """`2/8` as numbers; UsageError for what is no share."""
    from r1cli.errors import UsageError

    first, slash, of = text.partition("/")
    if slash and first.isdecimal() and of.isdecimal() and int(first) < int(of):
        return int(first), int(of)
    raise UsageError(f"--shard {text!r} is not of the form i/n with i from 0 to n-1, as in 0/8")
