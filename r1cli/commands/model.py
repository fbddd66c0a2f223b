"""`r1 model`: what a model folder holds, and an adapter merged into its base."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

app = typer.Typer(help="Show a model, merge an adapter into its base.", no_args_is_help=True)


class Dtype(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


@app.command()
def merge(
    model: str = typer.Argument(help="A run, or an adapter: its directory or hub id."),
    out: Path = typer.Option(..., help="The directory to write the plain model to."),
    dtype: Dtype = typer.Option(Dtype.auto, help="Of the weights; auto is that of the base."),
    revision: str | None = typer.Option(None, help="Of an adapter on the hub."),
) -> None:
    """Merge an adapter into its base: a plain model, the same tokens."""
    from r1cli import ui
    from r1cli.extras import require
    from r1cli.merging import merge

    require("train", "torch", "transformers", "peft")
    ui.narrate()
    adapter = merge(_of_run(model), revision, out, dtype=dtype.value)
    ui.show(f"{out}: {adapter}, merged")


@app.command()
def show(
    model: str = typer.Argument(help="A run, a model directory, or a hub id."),
    revision: str | None = typer.Option(None, help="A hub revision."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """What a model is, from its config: architecture, size, positions; of an adapter, its base."""
    from r1cli import ui

    facts = _facts(_of_run(model), revision)
    if json:
        ui.show_json(facts)
    else:
        ui.table([{"what": k, "value": v} for k, v in facts.items()], ["what", "value"])


def _facts(name: str, revision: str | None) -> dict[str, Any]:
    from r1cli.adapters import stored_adapter
    from r1cli.models import model_key
    from r1cli.planning import architecture
    from r1cli.planning.config_file import model_config

    config = model_config(name, revision, "the command line")
    read = architecture.read(config, name)
    facts: dict[str, Any] = {"model": name, "key": model_key(name, revision)}
    if adapter := stored_adapter(name, revision):
        facts |= {
            "adapter": str(adapter),
            "base": adapter.base,
            "base_revision": adapter.base_revision,
            "base_edited": adapter.edited_config is not None,
        }
    rope = config.get("rope_parameters") or {}
    return {
        **facts,
        "type": read.model_type,
        "parameters": read.parameters,
        "dtype": read.dtype,
        "positions": read.positions,
        "rope_theta": rope.get("rope_theta", config.get("rope_theta")),
        "rope_type": rope.get("rope_type"),
    }


def _of_run(name: str) -> str:
    """The policy of a run, where a run's directory is named."""
    run = Path(name)
    return str(run / "model") if (run / "run.json").is_file() else name
