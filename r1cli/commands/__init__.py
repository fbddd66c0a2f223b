"""One file per command: parse, call, render. What several commands share stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1cli.plugins import Plugins

RECIPE = "--recipe"


def installed_plugins() -> Plugins:
    """Every plugin; what is broken is said once, on stderr, and stops nothing."""
    from r1cli import ui
    from r1cli.plugins import load_plugins

    plugins = load_plugins()
    for plugin in plugins.loaded:
        if plugin.problem:
            ui.say(
                f"r1: plugin {plugin.name} failed to load ({plugin.problem}); see: r1 plugins list"
            )
        for warning in plugin.warnings:
            ui.say(f"r1: plugin {plugin.name}: {warning}")
    return plugins


def arguments(assignments: list[str], option: str = "--arg") -> dict[str, Any]:
    """`key=value` options as a dict, the values read as YAML."""
    from r1cli import source

    text = source.Source({}, option, {})
    for assignment in assignments:
        text.override(assignment)
    return dict(text.data)


def complete_recipe(incomplete: str) -> list[str]:
    """Shell completion for recipe names."""
    from r1cli.recipe_file import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


def completer(kind: str):  # type: ignore[no-untyped-def]
    """Shell completion for the registered names of one kind."""

    def complete(incomplete: str) -> list[str]:
        from r1cli.plugins import load_plugins

        return [name for name in load_plugins()[kind].names() if name.startswith(incomplete)]

    return complete
