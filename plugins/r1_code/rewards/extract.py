"""Which program a completion declares: its last fenced block in the wanted language."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from r1cli import Completion

# Tags that mean one language; a language that is not here is known by its own name.
TAGS = {
    "python": ("python", "py", "python3", "pypy", "pypy3", "ipython", "cpython"),
    "cpp": ("cpp", "c++", "cxx", "cc", "cpp17", "c++17", "cpp14", "c++14", "cpp11", "c++11"),
    "cpp20": ("cpp20", "c++20", "cpp", "c++"),
    "javascript": ("javascript", "js", "node", "nodejs"),
    "go": ("go", "golang"),
    "rust": ("rust", "rs"),
    "bash": ("bash", "sh", "shell"),
}
NAMES = {tag: name for name, tags in reversed(TAGS.items()) for tag in tags}
VERSION = re.compile(r"(?<=[a-z])3?\.\d+(\.\d+)?$")  # python3.11

_OPENING = re.compile(r"(`{3,}|~{3,})[ \t]*([^`~\s]*)[^`]*$")
_CLOSING = re.compile(r"(`{3,}|~{3,})[ \t]*$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its code, its tag as written, the lines of the answer section that it spans.

    `first_line` counts from 1, the opening fence included; `closed` means that a fence ends it.
    """

    code: str
    tag: str
    first_line: int
    last_line: int
    closed: bool

    def __str__(self) -> str:
        tag = f"a {self.tag!r} block" if self.tag else "a block without a tag"
        end = "" if self.closed else ", never closed"
        return f"{tag} in lines {self.first_line} to {self.last_line} of the answer{end}"


def canonical(language: str) -> str:
    """The one name of a language that has several: `py`, `Python3` and `python3.11` are `python`"""
    name = VERSION.sub("", language.strip().lower())
    return NAMES.get(name, name)


def extract(completion: str, language: str = "python") -> Block | None:
    """The program in `language` that the answer section declares; None where there is none.

    The last block with a tag of the language; where no block has one, the last that has no tag at
    all. A block in another language is never taken, nor anything from the reasoning: an unclosed
    `<think>` has no answer section.
    """
    whole = completion if isinstance(completion, Completion) else Completion(completion)
    wanted = canonical(language)
    tags = {wanted, *TAGS.get(wanted, ())}
    untagged = None
    for block in reversed([*blocks(whole.answer)]):
        if VERSION.sub("", block.tag.lower()) in tags:
            return block
        if not block.tag and untagged is None:
            untagged = block
    return untagged


def program(completion: str, *, language: str = "python", **_: object) -> str | None:
    """The source of the declared program; None where there is none, or nothing in it."""
    block = extract(completion, language)
    return block.code if block and block.code.strip() else None


def blocks(text: str) -> Iterator[Block]:
    """Every fenced block, with Markdown's rules where they say anything.

    A fence closes on one of its own character and at least its length; also at the end of a line of
    code, at `</answer>`, and at the end of the text. It may open at the end of a line of prose.
    """
    fence = tag = ""
    start, inside = 0, list[str]()
    lines = text.replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if not fence:
            if opening := _opening(line):
                fence, tag, start, inside = opening[1], _tag(opening[2]), number, []
            continue
        closing = _closing(line, fence)
        if closing is None and not line.lstrip().startswith("</answer>"):
            inside.append(line)
            continue
        if closing and closing.strip():
            inside.append(closing)
        yield Block(_joined(inside), tag, start, number, closing is not None)
        fence = ""
    if fence:
        yield Block(_joined(inside), tag, start, len(lines), False)


def _opening(line: str) -> re.Match[str] | None:
    at = min((i for i in (line.find("```"), line.find("~~~")) if i >= 0), default=-1)
    return _OPENING.match(line, at) if at >= 0 else None


def _closing(line: str, fence: str) -> str | None:
    """What stands on the line before the fence that closes; None where none does."""
    stripped = line.rstrip()
    bare = stripped.rstrip(fence[0])
    count = len(stripped) - len(bare)
    if count < len(fence) or (fence[0] == "~" and bare.strip()):
        return None
    return bare


def _tag(info: str) -> str:
    return info.strip("{}.")


def _joined(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines)) + "\n" if lines else ""
