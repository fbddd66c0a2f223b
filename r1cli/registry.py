"""Names to things. A built-in owns its bare name; anything else can be said as `plugin/name`."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

from r1cli.errors import PluginError, R1Error, UsageError, suggest

KINDS = (
    "rewards",
    "code_providers",
    "datasets",
    "models",
    "benchmarks",
    "trainers",
    "engines",
    "launchers",
    "callbacks",
)

NAME = re.compile(r"[a-z][a-z0-9_]*")
TARGET = re.compile(r"\w+(\.\w+)*:\w+")


def label(kind: str) -> str:
    """What one thing of a kind is called: `code provider`."""
    return kind[:-1].replace("_", " ")


@dataclass(frozen=True)
class Entry:
    """One registered thing. `target` is the thing or "module:attr"."""

    kind: str
    name: str
    target: Any
    help: str
    plugin: str
    builtin: bool

    @property
    def qualified(self) -> str:
        return f"{self.plugin}/{self.name}"

    def load(self) -> Any:
        """The thing itself; importing it is what may fail, and then the plugin is named."""
        what = f"{label(self.kind)} {self.name!r} of plugin {self.plugin!r}"
        thing = self.target
        if isinstance(thing, str):
            module, _, attribute = thing.partition(":")
            try:
                thing = getattr(importlib.import_module(module), attribute)
            except R1Error:
                raise
            # Anything at all may go wrong in a module that is not ours.
            except (Exception, SystemExit) as error:
                raise PluginError(
                    f"{what} could not be loaded from {self.target!r}: "
                    f"{type(error).__name__}: {error}"
                ) from error
        if self.kind != "benchmarks" and not callable(thing):
            raise PluginError(f"{what} is {thing!r}, which cannot be called")
        return thing


class Registry:
    """The entries of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.entries: list[Entry] = []
        self.hint = ""

    def add(self, entry: Entry) -> None:
        if any(known.qualified == entry.qualified for known in self.entries):
            raise PluginError(f"{label(entry.kind)} {entry.name!r} is registered twice")
        self.entries.append(entry)

    def names(self) -> list[str]:
        """The names that work, sorted; one that is taken or ambiguous appears qualified."""
        return sorted(self.name_of(entry) for entry in self.entries)

    def name_of(self, entry: Entry) -> str:
        """The shortest name that means this entry."""
        alone = sum(other.name == entry.name for other in self.entries) == 1
        return entry.name if entry.builtin or alone else entry.qualified

    def __contains__(self, name: str) -> bool:
        return any(name in (entry.name, entry.qualified) for entry in self.entries)

    def get(self, name: str, where: str = "") -> Entry:
        """The entry called `name`, bare or as `plugin/name`; `where` is told in the error."""
        found = [entry for entry in self.entries if name in (entry.name, entry.qualified)]
        chosen = [entry for entry in found if entry.builtin] or found
        at = f" at {where}" if where else ""
        if not chosen:
            known = self.names()
            raise UsageError(
                f"no {label(self.kind)} {name!r}{at}; {suggest(name, known)}{self.hint}"
            )
        if len(chosen) > 1:
            several = ", ".join(sorted(entry.qualified for entry in chosen))
            raise UsageError(f"{label(self.kind)} {name!r}{at} is ambiguous; say one of: {several}")
        return chosen[0]
