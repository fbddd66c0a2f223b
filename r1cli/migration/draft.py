"""A migration under way: what is left of the old file, the new recipe, and a note on every key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from r1cli.errors import UsageError
from r1cli.source import Source

Kind = Literal["kept", "renamed", "removed", "unknown", "added"]


@dataclass(frozen=True)
class Note:
    """What became of one key. `line` is that of the old file, None for what was added."""

    kind: Kind
    old: str
    line: int | None
    new: str
    why: str

    def __str__(self) -> str:
        at = f" (line {self.line})" if self.line else ""
        became = " -> ".join(part for part in (self.old + at if self.old else "", self.new) if part)
        return f"{self.kind}: {became}{': ' if self.why else ''}{self.why}"


class Draft:
    """Keys are taken out of `left` one by one, each with a note; whatever stays is unknown."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.left: dict[Any, Any] = dict(source.data)
        self.recipe: dict[str, Any] = {}
        self.notes: list[Note] = []

    def __contains__(self, key: str) -> bool:
        return key in self.left

    def take(self, key: str, default: Any = None) -> Any:
        """The value of an old key, which the caller then notes."""
        return self.left.pop(key, default)

    def integer(self, key: str, default: int) -> int:
        """As `take`, for a count."""
        value = self.take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"{key} = {value!r} at {self.source.at((key,))} is no count")
        return value

    def put(self, new: str, value: Any) -> None:
        """Write a value at a dotted place of the recipe."""
        place = self.recipe
        *parents, last = new.split(".")
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value

    def is_free(self, new: str) -> bool:
        """Whether nothing stands at a dotted place of the recipe, nor in the way to it."""
        place: Any = self.recipe
        for part in new.split("."):
            if not isinstance(place, dict):
                return False
            if part not in place:
                return True
            place = place[part]
        return False

    def note(self, kind: Kind, old: str, new: str = "", why: str = "") -> None:
        lines = self.source.lines
        line = lines.get((old,)) or lines.get(_key(old)) if old else None
        self.notes.append(Note(kind, old, line, new, why))

    def move(self, old: str, new: str, why: str = "") -> None:
        """An old key's value, unchanged, in a new place."""
        self.put(new, self.take(old))
        self.note("kept" if new.rpartition(".")[2] == old else "renamed", old, new, why)

    def drop(self, old: str, why: str) -> None:
        self.take(old)
        self.note("removed", old, "", why)

    def add(self, new: str, value: Any, why: str) -> None:
        """What the old file left unsaid and the new one must say."""
        self.put(new, value)
        self.note("added", "", new, why)


def listed(value: Any) -> list[Any]:
    """What may be written as one thing or as a list of them."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _key(dotted: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdecimal() else part for part in dotted.split("."))
