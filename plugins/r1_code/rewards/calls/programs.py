"""The programs of the two sandboxes, put together from the files that run in them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

from r1_code.rewards.tests_of import Asserts

_OWN = re.compile(r"^from r1_code\..*\n", re.MULTILINE)


def player(solution: str, *, preamble: str = "", entry_point: str = "") -> str:
    """The solution's side. It holds no test and nothing that is expected."""
    return _program(("codec", "player"), "play", solution, preamble, entry_point)


def judge(tests: Asserts) -> str:
    """The judge's side."""
    return _program(("codec", "stand_in", "judge"), "judge", asdict(tests))


def _program(parts: tuple[str, ...], main: str, *given: Any) -> str:
    """The files one after the other; a call of `main` with what it is given, at the end."""
    said = json.dumps(given)
    return "\n".join([*map(_text, parts), f"{main}(*json.loads({said!r}))\n"])


@cache
def _text(part: str) -> str:
    """A file without what it imports of the others; `annotations` would have to come first."""
    text = (resources.files(__package__) / f"{part}.py").read_text(encoding="utf-8")
    return _OWN.sub("", text).replace("from __future__ import annotations\n", "")
