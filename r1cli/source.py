"""YAML text as plain data that remembers on which line every key stood.

Safe tags only, `2e-6` is a float (PyYAML follows YAML 1.1, where it is a string), and a key said
twice is an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from r1cli.errors import UsageError

Key = tuple[str | int, ...]
"""Where a value stands: ("rewards", 0, "name")."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 floats and without duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is no plain word", key_node.start_mark
                )
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
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

    def override(self, assignment: str) -> None:
        """Apply `dotted.key=value`; the value is YAML, list items are addressed by number."""
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise UsageError(f"--set {assignment!r} is not of the form dotted.key=value")
        key: Key = tuple(int(part) if part.isdigit() else part for part in path.split("."))
        place = self.data
        for part in key[:-1]:
            if isinstance(place, dict):
                place = place.setdefault(part, {})
                place = {} if place is None else place
            elif isinstance(place, list) and isinstance(part, int) and part < len(place):
                place = place[part]
            else:
                raise UsageError(f"--set {path}: there is no {part!r} to set a key of")
        last = key[-1]
        if isinstance(place, list) and (not isinstance(last, int) or last >= len(place)):
            raise UsageError(f"--set {path}: the list has {len(place)} items, counted from 0")
        if not isinstance(place, (dict, list)):
            raise UsageError(f"--set {path}: {'.'.join(map(str, key[:-1]))} is {place!r}, no table")
        place[last] = parse(text, "--set").data  # type: ignore[index]
        self.lines[key] = 0


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
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        data = None if node is None else loader.construct_document(node)  # type: ignore[no-untyped-call]
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or error.context_mark).line + 1 if error.problem_mark else 0
        where = f"{name}:{line}" if line else name
        raise UsageError(f"{where} is not a safe, well-formed YAML file: {error.problem}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()  # type: ignore[no-untyped-call]
    return Source(data, name, dict(_lines(node, ())) if node is not None else {})


def _lines(node: yaml.Node, key: Key) -> list[tuple[Key, int]]:
    found = [(key, node.start_mark.line + 1)]
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            inside = _lines(value_node, (*key, key_node.value))
            # A key's own line reads better than the line on which its block value begins.
            found += [((*key, key_node.value), key_node.start_mark.line + 1), *inside[1:]]
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            found += _lines(item, (*key, number))
    return found


def dump(data: Any) -> str:
    """Data as YAML in the order it was given."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
