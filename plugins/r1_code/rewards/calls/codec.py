"""Values as JSON and back, by tag. Nothing but data comes out, whatever was put in.

Runs in both sandboxes and here, so it needs only the standard library. Text, small integers, finite
floats, None and booleans stand for themselves; all else is `[tag, content]`.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import math

SMALL = 2**53  # larger integers are written in base 16, which has no length limit
NODES = {"ListNode": ("next",), "TreeNode": ("left", "right")}
MOST_NODES = 1_000_000

SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
BY_TEXT = {
    "complex": complex,
    "decimal": decimal.Decimal,
    "date": datetime.date.fromisoformat,
    "datetime": datetime.datetime.fromisoformat,
}
NAMED = {
    made.__name__: made
    for made in (
        *(bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, type(None)),
        *(abs, len, max, min, round, sorted, sum),
    )
}
"""Builtins that tests pass to a function, and that may come back."""


class Unsayable(Exception):
    """A value that only means something where it is."""


class Node:
    """What a ListNode or TreeNode becomes where no class of that name is defined."""

    def __init__(self, val=0, next=None, left=None, right=None):
        self.val, self.next, self.left, self.right = val, next, left, right


def encode(value, other=None):
    """`value` as JSON. `other(value)` is asked about what is no data, and raises Unsayable."""
    try:
        return _encode(value, other or _unsayable)
    except RecursionError as error:
        raise Unsayable("nested too deeply") from error


def decode(data, other=None, classes=None):
    """What `encode` was given. `other(tag, content)` makes what its `other` said.

    `classes` are the classes of nodes by name. Raises Unsayable for what was never encoded.
    """
    try:
        return _decode(data, other or _unknown, classes or {})
    except (RecursionError, ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
        raise Unsayable(f"no value: {error!r:.200}") from error


def _unsayable(value):
    raise Unsayable(f"a {type(value).__name__}")


def _unknown(tag, content):
    raise Unsayable(f"a {tag}")


def _encode(value, other):
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if isinstance(value, int):
        value = int.__index__(value)
        return value if -SMALL < value < SMALL else ["int", hex(value)]
    if isinstance(value, float):
        value = float.__float__(value)
        return value if math.isfinite(value) else ["float", repr(value)]
    if isinstance(value, str):
        return str.__str__(value)
    for name, sequence in SEQUENCES.items():
        if isinstance(value, sequence):
            parts = [_encode(part, other) for part in sequence.__iter__(value)]
            return [name, parts if name in ("list", "tuple") else sorted(parts, key=repr)]
    if isinstance(value, dict):
        return ["dict", [[_encode(k, other), _encode(v, other)] for k, v in dict.items(value)]]
    return _encode_rare(value, kind, other)


def _encode_rare(value, kind, other):
    name = getattr(value, "__name__", None)
    if isinstance(name, str) and NAMED.get(name) is value:
        return ["named", name]
    if kind is bytes or kind is bytearray:
        return [kind.__name__, value.hex()]
    if kind is collections.deque:
        return ["deque", [_encode(part, other) for part in value]]
    if kind is range:
        return ["range", [_encode(n, other) for n in (value.start, value.stop, value.step)]]
    for name, made in (
        *(("complex", complex), ("decimal", decimal.Decimal)),
        *(("datetime", datetime.datetime), ("date", datetime.date)),
    ):
        if kind is made:
            return [name, value.isoformat() if name.startswith("date") else str(value)]
    if kind is fractions.Fraction:
        return ["fraction", [_encode(value.numerator, other), _encode(value.denominator, other)]]
    if kind.__name__ in NODES and hasattr(value, "val"):
        return ["node", [kind.__name__, *_encode_nodes(value, NODES[kind.__name__], other)]]
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return _encode(value.tolist(), other)
    return other(value)


def _encode_nodes(root, links, other):
    """Values, and per node the numbers of those that it links to (-1: none). Not recursive."""
    numbers, order = {id(root): 0}, [root]
    edges = []
    for node in order:
        row = []
        for name in links:
            follower = getattr(node, name, None)
            if follower is None:
                row.append(-1)
                continue
            if id(follower) not in numbers:
                numbers[id(follower)] = len(order)
                order.append(follower)
            row.append(numbers[id(follower)])
        edges.append(row)
        if len(order) > MOST_NODES:
            raise Unsayable("more than a million nodes")
    return [[_encode(node.val, other) for node in order], edges]


def _decode(data, other, classes):
    if not isinstance(data, list):
        if isinstance(data, dict):
            raise Unsayable("no value: a JSON object")
        return data
    tag, content = data
    if tag in SEQUENCES:
        return SEQUENCES[tag](_decode(part, other, classes) for part in content)
    if tag == "dict":
        return {_decode(k, other, classes): _decode(v, other, classes) for k, v in content}
    if tag == "int":
        return int(content, 16)
    if tag == "float":
        return float(content)
    if tag == "named":
        return NAMED[content]
    if tag in ("bytes", "bytearray"):
        return (bytes if tag == "bytes" else bytearray).fromhex(content)
    if tag == "deque":
        return collections.deque(_decode(part, other, classes) for part in content)
    if tag == "range":
        return range(*(_decode(n, other, classes) for n in content))
    if tag == "fraction":
        return fractions.Fraction(*(_decode(n, other, classes) for n in content))
    if tag in BY_TEXT:
        return BY_TEXT[tag](content)
    if tag == "node":
        return _decode_nodes(*content, other, classes)
    return other(tag, content)


def _decode_nodes(name, values, edges, other, classes):
    made = classes.get(name, Node)
    nodes = []
    for value in values:
        node = made.__new__(made)
        node.val = _decode(value, other, classes)
        nodes.append(node)
    for node, row in zip(nodes, edges, strict=True):
        for link, number in zip(NODES[name], row, strict=True):
            setattr(node, link, None if number == -1 else nodes[number])
    return nodes[0]
