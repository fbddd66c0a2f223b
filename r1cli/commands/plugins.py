"""`r1 plugins`: what is installed, what it offers, what is wrong with it. Never fails to answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

app = typer.Typer(help="List, show and check plugins.", no_args_is_help=True)


@app.command("list")
def list_(
    json: bool = typer.Option(False, "--json", help="Print JSON."),
    names: bool = typer.Option(False, help="One row per registered name instead."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Tracebacks of what failed."),
) -> None:
    """Every plugin, what it offers and why one failed."""
    from r1cli import ui
    from r1cli.plugins import load_plugins

    plugins = load_plugins()
    if names:
        rows: list[dict[str, Any]] = [
            {"kind": kind, "name": registry.name_of(e), "plugin": e.plugin, "about": e.help}
            for kind, registry in plugins.registries.items()
            for e in sorted(registry.entries, key=registry.name_of)
        ]
        ui.table(rows, ["kind", "name", "plugin", "about"], as_json=json)
        return
    rows = [
        {
            "plugin": plugin.name,
            "version": plugin.version,
            "ms": round(1000 * plugin.seconds),
            "offers": plugin.offers if json else _offers(plugin.offers),
            "problem": "; ".join(filter(None, [plugin.problem, *plugin.warnings])) or None,
        }
        for plugin in plugins.loaded
    ]
    ui.table(rows, ["plugin", "version", "ms", "offers", "problem"], as_json=json)
    if verbose:
        for plugin in plugins.loaded:
            if plugin.detail:
                ui.say(plugin.detail)


def _offers(offers: dict[str, list[str]]) -> str:
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in offers.items())


@app.command()
def info(
    name: str = typer.Argument(help="A registered name, bare or as plugin/name."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """What a name stands for: its kind, plugin, arguments and description."""
    import inspect

    from r1cli import signature, ui
    from r1cli.errors import UsageError, suggest
    from r1cli.plugins import load_plugins
    from r1cli.registry import label

    plugins = load_plugins()
    found = [(kind, registry) for kind, registry in plugins.registries.items() if name in registry]
    if not found:
        known = [n for registry in plugins.registries.values() for n in registry.names()]
        raise UsageError(f"nothing is registered as {name!r}; {suggest(name, known)}")
    rows = []
    for kind, registry in found:
        entry = registry.get(name)
        thing = entry.load()
        row = {"kind": label(kind), "name": registry.name_of(entry), "plugin": entry.plugin}
        if kind == "rewards":
            row["columns"] = ", ".join(signature.columns(thing).required)
        if callable(thing):
            row["args"] = ", ".join(map(str, signature.parameters(thing).values()))
        row["about"] = "\n".join(filter(None, [entry.help, inspect.getdoc(thing)]))
        rows.append(row)
    if json:
        ui.show_json(rows)
        return
    for row in rows:
        ui.table([{"what": k, "value": v or None} for k, v in row.items()], ["what", "value"])


@app.command()
def check(
    names: list[str] = typer.Argument(
        None, help="Plugins to check, with or without r1-plugin-; none means all."
    ),
) -> None:
    """Load plugins and everything they register; exit 4 if anything is wrong."""
    from r1cli import ui
    from r1cli.errors import PluginError, R1Error, UsageError, suggest
    from r1cli.plugins import PREFIX, load_plugins

    plugins = load_plugins()
    known = {plugin.name: plugin for plugin in plugins.loaded}
    chosen = []
    for given in names or known:
        meant = [name for name in (given, PREFIX + given.replace("_", "-")) if name in known]
        if not meant:
            raise UsageError(f"no plugin {given!r}; {suggest(given, known)}")
        chosen.append(meant[0])
    bad = []
    for name in chosen:
        plugin = known[name]
        problems = [plugin.problem] if plugin.problem else []
        problems += plugin.warnings
        for registry in plugins.registries.values():
            for entry in registry.entries:
                if entry.plugin == name:
                    try:
                        entry.load()
                    except R1Error as error:
                        problems.append(str(error))
        ui.show(f"{name}: {'; '.join(problems) if problems else 'ok'}")
        bad += [name] if problems else []
    if bad:
        raise PluginError(f"{len(bad)} plugin(s) with problems: {', '.join(bad)}")


@app.command()
def new(
    name: str = typer.Argument(help="Of the reward, and of the plugin: my-reward, say."),
    to: Path = typer.Option(Path(), help="The folder in which the plugin gets its own."),
) -> None:
    """Write a plugin that works as it is: a reward, its tests, its golden cases."""
    from r1cli import ui
    from r1cli.scaffold import new_plugin

    folder = new_plugin(name, to)
    ui.show(str(folder))
    ui.say(f"now: pip install -e {str(folder)!r} && r1 plugins check {folder.name}")
