"""YAML text as plain data that remembers on which line every key stood.

Safe tags only, and a key said twice is an error. PyYAML follows YAML 1.1, where `2e-6` is text,
the time `24:00:00` is 86400 and `010` is 8: here these are a float and twice text. What is written
reads back as it was: the text "2e-6" is quoted.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from r1cli.errors import UsageError

Key = tuple[str | int, ...]
"""Where a value stands: ("rewards", 0, "name")."""

LARGEST = 100_000
"""Values in one file. Nested aliases can say billions in nine short lines."""

MARKED = ("'", '"', "|", ">", "!", "&")
"""How text begins in YAML that is more than itself."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 numbers and without duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is no plain word", key_node.start_mark
                )
            merge = key_node.tag == "tag:yaml.org,2002:merge"
            key = "<<" if merge else self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes text which `_Loader` would read as a number."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


_INT = "tag:yaml.org,2002:int"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in shapes if tag != _INT]
    for first, shapes in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _INT,
    re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)


class Source:
    """The data of one YAML file, its name, and the line of each key."""

    def __init__(self, data: Any, name: str, lines: dict[Key, int]) -> None:
        self.data, self.name, self.lines = data, name, lines

    def at(self, key: Key) -> str:
        """`file:line` of a key or of the nearest enclosing one; `--set` for an override."""
        for length in range(len(key), -1, -1):
            line = self.lines.get(key[:length])
            if line is not None:
                return f"{self.name}:{line}" if line else "--set"
        return self.name

    def override(self, assignment: str, *, depth: int = -1) -> None:
        """Apply `dotted.key=value`; the value is YAML, but plain text is kept as it was typed.

        YAML would make one line of several and end at ` #`.
        """
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise UsageError(f"--set {assignment!r} is not of the form dotted.key=value")
        value, text = parse(text, f"--set {path}").data, text.strip()
        if isinstance(value, str) and not text.startswith(MARKED):
            value = text
        self.set(path, value, depth=depth)

    def set(self, path: str, value: Any, *, depth: int = -1) -> None:
        """Put a value at a dotted key; list items are addressed by number.

        Past `depth` dots what is left is one key, dots and all.
        """
        parts = path.split(".", depth)
        place, key = self.data, ()  # type: Any, Key
        for part in parts[:-1]:
            number, key = self._enter(place, part, key, path)
            if isinstance(place, dict) and place.get(number) is None:
                place[number] = {}
                self.lines[key] = 0
            # A copy: an alias (`*name`) is one object in several places, and this one is meant.
            place[number] = copy.copy(place[number])
            place = place[number]
        number, key = self._enter(place, parts[-1], key, path)
        place[number] = value
        # What stood below the old value is gone, and its lines with it.
        self.lines = {k: line for k, line in self.lines.items() if k[: len(key)] != key}
        self.lines[key] = 0

    def _enter(self, place: Any, part: str, key: Key, path: str) -> tuple[str | int, Key]:
        """`part` as an index into `place`, which stands at `key`, and the key it leads to."""
        said = ".".join(map(str, key)) or "the recipe"
        index: str | int = part
        if isinstance(place, list):
            if not part.isdecimal() or int(part) >= len(place):
                raise UsageError(
                    f"--set {path}: {said} is a list of {len(place)} items, counted from 0; "
                    f"it has no {part!r}"
                )
            index = int(part)
        elif not isinstance(place, dict):
            raise UsageError(f"--set {path}: {said} is {place!r} and has no keys")
        return index, (*key, index)


def read(path: Path) -> Source:
    """The YAML of a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error.reason} at {error.start}") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Source:
    """The YAML of a string; `name` is what errors call it."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            data = None if node is None else loader.construct_document(node)
            lines = _lines(node, ()) if node is not None else iter(())
            known = dict(itertools.islice(lines, LARGEST + 1))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise UsageError(f"{where} is not safe, well-formed YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        where = f"{name}:{text.count(chr(10), 0, error.position) + 1}"
        raise UsageError(f"{where} holds a character that YAML does not allow") from error
    except ValueError as error:  # a date that is no date, `!!int x`
        raise UsageError(f"{name} holds a value that cannot be read: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{name} is nested too deeply, or holds itself by an alias") from error
    if len(known) > LARGEST:
        raise UsageError(f"{name} holds more than {LARGEST} values, aliases written out")
    return Source(data, name, known)


def _lines(node: yaml.Node, key: Key) -> Iterator[tuple[Key, int]]:
    yield key, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            # A key's own line reads better than the line on which its block value begins.
            inside = _lines(value_node, (*key, key_node.value))
            next(inside)
            yield (*key, key_node.value), key_node.start_mark.line + 1
            yield from inside
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _lines(item, (*key, number))


def dump(data: Any) -> str:
    """Data as YAML in the order it was given."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
