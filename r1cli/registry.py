"""Names to things. A built-in owns its bare name; anything else can be said as `plugin/name`."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

from r1cli.errors import PluginError, UsageError, suggest

KINDS = (
    "rewards",
    "datasets",
    "models",
    "benchmarks",
    "trainers",
    "engines",
    "launchers",
    "callbacks",
)

NAME = re.compile(r"[a-z][a-z0-9_]*")


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
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise PluginError(
                f"{self.kind[:-1]} {self.name!r} of plugin {self.plugin!r} "
                f"could not be loaded from {self.target!r}: {error}"
            ) from error


class Registry:
    """The entries of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.entries: list[Entry] = []
        self.hint = ""

    def add(self, entry: Entry) -> None:
        if any(known.qualified == entry.qualified for known in self.entries):
            raise PluginError(f"{entry.kind[:-1]} {entry.name!r} is registered twice")
        self.entries.append(entry)

    def names(self) -> list[str]:
        """The bare names that work, sorted; an ambiguous one appears qualified."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.name, []).append(entry)
        names = []
        for name, entries in found.items():
            owner = [entry for entry in entries if entry.builtin]
            if owner or len(entries) == 1:
                names.append(name)
            names += [e.qualified for e in entries if not e.builtin and len(entries) > 1]
        return sorted(names)

    def __contains__(self, name: str) -> bool:
        return any(name in (entry.name, entry.qualified) for entry in self.entries)

    def get(self, name: str, where: str = "") -> Entry:
        """The entry called `name`, bare or as `plugin/name`; `where` is told in the error."""
        found = [entry for entry in self.entries if name in (entry.name, entry.qualified)]
        chosen = [entry for entry in found if entry.builtin] or found
        at = f" at {where}" if where else ""
        if not chosen:
            known = self.names()
            raise UsageError(f"no {self.kind[:-1]} {name!r}{at}; {suggest(name, known)}{self.hint}")
        if len(chosen) > 1:
            several = ", ".join(sorted(entry.qualified for entry in chosen))
            raise UsageError(f"{self.kind[:-1]} {name!r}{at} is ambiguous; say one of: {several}")
        return chosen[0]
