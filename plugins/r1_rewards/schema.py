"""The tags that a completion is expected to be written in."""

from __future__ import annotations

import re
from typing import Literal

from r1cli import UsageError

Mode = Literal["strict", "soft"]
Schema = Literal["think_answer", "think"] | list[str]

_NAMED = {"think_answer": ["think", "answer"], "think": ["think"]}


def tag_names(schema: Schema) -> list[str]:
    """The names of the blocks, in order. Raises UsageError for names that cannot be tags."""
    names = _NAMED[schema] if isinstance(schema, str) else list(schema)
    for name in names:
        if not re.fullmatch(r"[^\s<>/][^\s<>]*", name):
            raise UsageError(f"schema: {name!r} is no tag name; give names such as think, answer")
    if not names or len(set(names)) < len(names):
        raise UsageError(f"schema: {names!r} must name at least one tag, and each only once")
    return names
