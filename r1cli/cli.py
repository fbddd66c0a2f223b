"""The command line: one Typer app, one file per command under `commands/`.

Starting must stay cheap (`r1 --help` imports no plugin and no ML library), so this module and the
command modules import nothing but typer and the errors at the top, and the rest where it is used.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from r1cli import __version__
from r1cli.commands import (
    code,
    compare,
    data,
    doctor,
    evaluate,
    generate,
    jobs,
    model,
    pipeline,
    plan,
    plugins,
    push,
    recipe,
    records,
    reward,
    runs,
    serve,
    train,
    view,
)
from r1cli.errors import R1Error, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class PluginCommand(TyperCommand):
    """Stands in for a plugin's Typer app until it is run, so that `--help` imports no plugin."""

    def __init__(self, name: str, offers: list[EntryPoint]) -> None:
        summaries = [point.dist.metadata["Summary"] for point in offers if point.dist]
        super().__init__(name=name, help=summaries[0] or f"From {offers[0].value}.")
        self.offers = {point.dist.name: point for point in offers if point.dist}

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        if len(self.offers) > 1:
            raise UsageError(
                f"command {self.name!r} is offered by {' and '.join(sorted(self.offers))}; "
                "say in R1_PLUGINS which plugins to use"
            )
        [(plugin, point)] = self.offers.items()
        try:
            command = typer.main.get_command(point.load())
        # SystemExit too: a plugin's command that leaves at import must end in one line.
        except (Exception, SystemExit) as error:
            raise R1Error(
                f"command {self.name!r} of plugin {plugin!r} could not be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        return command.make_context(info_name, args, parent=parent, **extra)


class CommandGroup(TyperGroup):
    """The built-in commands, then those of plugins; user errors become one line and a code."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return [*own, *sorted(_plugin_commands().keys() - set(own))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        offers = _plugin_commands().get(cmd_name)
        return PluginCommand(cmd_name, offers) if offers else None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except R1Error as error:
            if os.environ.get("R1_DEBUG") == "1":
                raise
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command goes on from what was kept", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            sys.stderr.close()  # the reader left (`r1 ... | head`); nothing more to say
            raise typer.Exit(0) from None


def _plugin_commands() -> dict[str, list[EntryPoint]]:
    from r1cli.plugins import COMMANDS, installed

    offers: dict[str, list[EntryPoint]] = {}
    for point in installed(COMMANDS):
        offers.setdefault(point.name, []).append(point)
    return offers


app = typer.Typer(
    name="r1",
    cls=CommandGroup,
    no_args_is_help=True,
    # Plain help text starts 80 ms sooner; rich tracebacks would print locals, tokens included.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The DeepSeek-R1 recipe: distil, reinforce, evaluate, extend.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"r1 {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


app.command("train")(train.train)
app.command("pipeline")(pipeline.pipeline)
app.command("plan")(plan.plan)
app.command("eval")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("view")(view.view)
app.command("generate")(generate.generate)
app.add_typer(data.app, name="data")
app.add_typer(recipe.app, name="recipe")
app.add_typer(reward.app, name="reward")
app.add_typer(code.app, name="code")
app.add_typer(serve.app, name="serve")
app.add_typer(runs.app, name="runs")
app.add_typer(records.app, name="records")
app.add_typer(jobs.app, name="jobs")
app.add_typer(model.app, name="model")
app.command("push")(push.push)
app.add_typer(plugins.app, name="plugins")
app.command("doctor")(doctor.doctor)


def main() -> None:
    app()
