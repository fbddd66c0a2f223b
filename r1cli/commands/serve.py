"""`r1 serve`: what runs on and on, for other machines to ask."""

from __future__ import annotations

import typer

from r1cli.commands import arguments, completer, installed_plugins

app = typer.Typer(help="Serve what other machines ask for.", no_args_is_help=True)


@app.callback()
def serve() -> None:
    pass  # keeps `router` a command of its own while it is the only one


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


def _listen(host: str, port: int):  # type: ignore[no-untyped-def]
    import socket

    from r1cli.errors import UsageError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        raise UsageError(f"--host {host} --port {port}: {why}") from error
