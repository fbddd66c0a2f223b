"""Find the plugins, load each behind a boundary, and remember what happened to it.

pluggy alone does not give this: `load_setuptools_entrypoints` stops at the first import error and
`register` is not atomic. So each entry point is loaded by itself, its registrations are staged,
and all of them are dropped if one fails: a broken plugin costs only itself.
"""

from __future__ import annotations

import logging
import os
import sys
import textwrap
import time
import traceback
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from r1cli import hookspecs
from r1cli.errors import PluginError, suggest
from r1cli.registry import KINDS, NAME, TARGET, Entry, Registry, label

GROUP = "r1cli.plugins"
COMMANDS = "r1cli.commands"
DISTRIBUTION = "r1cli"
PREFIX = "r1-plugin-"  # of a plugin's distribution, by convention
SLOW_SECONDS = 0.25  # of CPU
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "r1cli_spec")]

log = logging.getLogger(__name__)


@dataclass
class Plugin:
    """What is known of one plugin, broken or not."""

    name: str
    version: str
    builtin: bool
    seconds: float = 0.0
    offers: dict[str, list[str]] = field(default_factory=dict)
    problem: str = ""
    detail: str = ""
    warnings: list[str] = field(default_factory=list)


class Plugins:
    """The loaded plugins and their registries. Built once per command and passed down."""

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        self.loaded: list[Plugin] = []
        self.registries = {kind: Registry(kind) for kind in KINDS}
        self.manager = pluggy.PluginManager("r1cli")
        self.manager.add_hookspecs(hookspecs)
        for point in sorted(points, key=lambda p: (not _builtin(p), _name(p))):
            self.loaded.append(self._load(point))
        broken = [plugin.name for plugin in self.loaded if plugin.problem]
        if broken:
            hint = f" (a plugin that failed to load may provide it: {', '.join(broken)})"
            for registry in self.registries.values():
                registry.hint = hint

    def __getitem__(self, kind: str) -> Registry:
        return self.registries[kind]

    def emit(self, event: str, **values: Any) -> None:
        """Tell every listener of an event. Observers are not allowed to end a run."""
        for impl in getattr(self.manager.hook, event).get_hookimpls():
            try:
                impl.function(**{name: values[name] for name in impl.argnames})
            except (Exception, SystemExit) as error:
                what = f"plugin {impl.plugin_name!r} failed in {event}: {_line(error)}"
                log.error(what, exc_info=True)

    def _load(self, point: EntryPoint) -> Plugin:
        plugin = Plugin(_name(point), point.dist.version if point.dist else "?", _builtin(point))
        started = time.process_time()  # by the clock a busy machine or a cold disk is slow
        try:
            with redirect_stdout(sys.stderr):  # stdout is the command's own, JSON maybe
                staged = self._stage(point, plugin)
        # SystemExit too: a plugin that leaves at import must not take the program with it.
        except (Exception, SystemExit) as error:
            plugin.problem = _line(error)
            plugin.detail = traceback.format_exc()
            staged = []
        for entry in staged:
            self.registries[entry.kind].add(entry)
            plugin.offers.setdefault(entry.kind, []).append(entry.name)
        plugin.seconds = time.process_time() - started
        if plugin.seconds > SLOW_SECONDS:
            plugin.warnings.append(
                f"took {plugin.seconds:.1f} s to import; import heavy packages inside functions"
            )
        return plugin

    def _stage(self, point: EntryPoint, plugin: Plugin) -> list[Entry]:
        """Import the plugin and collect what it registers, without touching the registries."""
        if self.manager.has_plugin(plugin.name):
            raise PluginError(f"entry point {point.name!r} is its second; one plugin has one")
        module = point.load()
        try:
            self.manager.register(module, name=plugin.name)
            return self._registrations(plugin)
        except (Exception, SystemExit):
            if self.manager.has_plugin(plugin.name):
                self.manager.unregister(name=plugin.name)
            raise

    def _registrations(self, plugin: Plugin) -> list[Entry]:
        staged: list[Entry] = []
        for kind in KINDS:
            for impl in getattr(self.manager.hook, f"register_{kind}").get_hookimpls():
                if impl.plugin_name == plugin.name:
                    answer = impl.function(_register(kind, plugin, staged))
                    if answer is not None:  # a coroutine or a generator, which never ran
                        plugin.warnings.append(
                            f"register_{kind} returned a {type(answer).__name__}; it is to be a "
                            "plain function that calls register and returns nothing"
                        )
        callers = self.manager.get_hookcallers(self.manager.get_plugin(plugin.name)) or []
        if not callers:
            plugin.warnings.append("it implements no hook; mark its functions with @hookimpl")
        for name in [caller.name for caller in callers if not caller.has_spec()]:
            plugin.warnings.append(f"no hook {name!r} in this r1cli; {suggest(name, HOOKS)}")
        return staged


def _register(kind: str, plugin: Plugin, staged: list[Entry]) -> hookspecs.Register:
    def register(name: str, target: Any, *, help: str = "") -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise PluginError(f"{label(kind)} name {name!r} does not match {NAME.pattern}")
        if isinstance(target, str) and not TARGET.fullmatch(target):
            raise PluginError(f"target {target!r} of {name!r} is not 'module:attr'")
        if any(entry.kind == kind and entry.name == name for entry in staged):
            raise PluginError(f"{label(kind)} {name!r} is registered twice")
        staged.append(Entry(kind, name, target, help, plugin.name, plugin.builtin))

    return register


def _builtin(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == DISTRIBUTION


def _name(point: EntryPoint) -> str:
    """A distribution's name is unique in an environment; the built-ins share one, so not theirs."""
    if point.dist is None or _builtin(point):
        return point.name
    return point.dist.name or point.name  # a half-removed distribution has no name


def _line(error: BaseException) -> str:
    """An error as one line; pluggy's and importlib's messages may have many."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")


def installed(group: str) -> list[EntryPoint]:
    """The entry points that `R1_PLUGINS` allows: unset all, empty none, `a,b` those two.

    The built-in plugins are always there.
    """
    chosen = os.environ.get("R1_PLUGINS")
    allowed = None if chosen is None else {name.strip() for name in chosen.split(",")}
    return [
        point
        for point in entry_points(group=group)
        if allowed is None or _builtin(point) or _name(point) in allowed
    ]


def builtin_plugins() -> Plugins:
    """The plugins of this distribution alone: enough for every built-in name."""
    return Plugins(point for point in entry_points(group=GROUP) if _builtin(point))


def load_plugins() -> Plugins:
    """Every installed plugin that `R1_PLUGINS` allows."""
    return Plugins(installed(GROUP))
