"""`r1 serve`: what runs on and on, for other machines to ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from r1cli.commands import arguments, completer, installed_plugins

if TYPE_CHECKING:
    import socket


class ModelByDefault(TyperGroup):
    """`r1 serve MODEL` is `r1 serve model MODEL`: what names no command is a model's argument."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["model", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=ModelByDefault,
    help="Serve what other machines ask for: r1 serve MODEL, or r1 serve router.",
    no_args_is_help=True,
)


@app.command()
def model(
    model: str = typer.Argument(help="A model directory, a run directory, a hub id or a source."),
    tp: int | None = typer.Option(
        None, min=1, help="GPUs that share the weights; default: as few as hold them."
    ),
    dp: int = typer.Option(1, min=1, help="Copies of the model."),
    host: str = typer.Option("127.0.0.1", help="The address to listen on; 0.0.0.0 is all."),
    port: int = typer.Option(8000, min=0, max=65535, help="The port; 0 takes a free one."),
    max_model_len: int | None = typer.Option(
        None, min=1, help="Tokens of prompt and completion; default: all that the model has."
    ),
    extra: list[str] = typer.Option(
        [], "--extra", metavar="KEY=VALUE", help="Any option of the engine's server; repeatable."
    ),
    engine: str = typer.Option("vllm", help="What serves.", autocompletion=completer("engines")),
    wait: float = typer.Option(1800, min=1, help="Seconds it may take to be ready."),
    log: Path | None = typer.Option(None, help="Its log; default in the cache folder."),
    dry_run: bool = typer.Option(False, help="Check everything, print the command, start nothing."),
) -> None:
    """Serve a model over HTTP until SIGINT or SIGTERM; `r1 serve MODEL` will do.

    The address is printed once it answers. A GRPO run with vllm_mode: server samples from it, and
    sends it new weights.
    """
    import shlex

    from r1cli import ui
    from r1cli.adapters import stored_adapter
    from r1cli.errors import UsageError
    from r1cli.home import cache_folder
    from r1cli.planning.config_file import model_config
    from r1cli.planning.hardware import visible_gpus
    from r1cli.planning.placement import tensor_parallel
    from r1cli.serving import Server

    plugins = installed_plugins()
    command_of = getattr(plugins["engines"].get(engine, "--engine").load(), "serve", None)
    if command_of is None:
        raise UsageError(f"engine {engine!r} at --engine has no server; vllm has")
    if model in plugins["models"]:
        name = str(plugins["models"].get(model).load()())
    else:
        name = str(Path(model) / "model") if (Path(model) / "run.json").exists() else model
    if stored_adapter(name):
        raise UsageError(f"{name} is an adapter, which is served merged: r1 model merge --help")
    gpus = visible_gpus()
    parallel = tensor_parallel(model_config(name, None, "MODEL"), gpus, model=model, tp=tp, dp=dp)
    with _listen(host, port) as free:  # a server takes long to find out that its port is taken
        port = free.getsockname()[1]
    options = {
        "tensor_parallel_size": parallel,
        "data_parallel_size": dp,
        "max_model_len": max_model_len,
        **_extra(extra),
    }
    command, environment = command_of(
        name, options, host=host, port=port, gpu=bool(gpus), start=not dry_run
    )
    said = " ".join(f"{key}={value}" for key, value in environment.items())
    if dry_run:
        ui.show(f"{said} {shlex.join(command)}")
        return
    if not host.startswith("127."):
        ui.say(f"r1: anyone who reaches {host} can change this model's weights")
    reached = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not listened on
    server = Server(
        command,
        environment,
        url=f"http://{f'[{reached}]' if ':' in reached else reached}:{port}",
        log=log or cache_folder("logs") / f"serve-{port}.log",
    )
    ui.say(f"r1: starting {model} on {_devices(len(gpus), parallel, dp)}; log: {server.log}")
    server.run(seconds=wait, ready=lambda: ui.show(server.url), say=ui.say)
    ui.say(f"r1: {server.asked}: stopped")


def _extra(given: list[str]) -> dict[str, Any]:
    """Options of the server; UsageError for an address, which `r1 serve` would not ask at then."""
    from r1cli.errors import UsageError

    options = arguments(given, "--extra")
    for name in ("host", "port"):
        if name in options:
            raise UsageError(f"--extra {name}={options[name]}: write --{name} {options[name]}")
    return options


def _devices(gpus: int, tp: int, dp: int) -> str:
    return f"{tp * dp} of {gpus} GPU(s), tensor parallel {tp}" if gpus else "the CPU"


@app.command()
def router(
    provider: str = typer.Option(
        "local", help="A code provider.", autocompletion=completer("code_providers")
    ),
    arg: list[str] = typer.Option([], "--arg", metavar="KEY=VALUE", help="Its argument."),
    host: str = typer.Option("127.0.0.1", help="The address to listen on; 0.0.0.0 is all."),
    port: int = typer.Option(8000, min=0, max=65535, help="The port; 0 takes a free one."),
    max_queue: int = typer.Option(1024, min=1, help="Programs at a time, waiting or running."),
    api_key_env: str = typer.Option(
        "R1_ROUTER_API_KEY", help="The environment variable that holds the key clients must send."
    ),
) -> None:
    """Run programs for other machines, over HTTP, until SIGINT or SIGTERM.

    Then what runs is finished, and nothing more is taken.
    """
    import os

    from r1cli import ui
    from r1cli.code.opening import code_service
    from r1cli.extras import require
    from r1cli.recipe import Component

    require("serve", "fastapi", "uvicorn")
    import uvicorn

    from r1cli.code.router import router_app

    component = Component(name=provider, args=arguments(arg))
    service = code_service(component, installed_plugins(), where="the command line")
    key = os.environ.get(api_key_env, "")
    if not key and not host.startswith("127."):
        ui.say(f"r1: anyone who reaches {host} can run programs here; set {api_key_env}")
    listening = _listen(host, port)
    service.capabilities  # noqa: B018 - opens the provider, so that its error is one line
    app = router_app(service, key=key, max_queue=max_queue)
    place = f"http://{host}:{listening.getsockname()[1]}"
    ui.say(f"r1: serving code provider {service.name!r} at {place}")
    config = uvicorn.Config(app, log_level="warning", lifespan="on")
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    import socket

    from r1cli.errors import UsageError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        raise UsageError(f"--host {host} --port {port}: {why}") from error
