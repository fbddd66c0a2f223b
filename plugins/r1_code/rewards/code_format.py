"""Is there a program where it belongs?"""

from __future__ import annotations

import json
from typing import Any

from r1_code.rewards.extract import canonical, extract
from r1cli import Completion


def code_format(
    completions: list[Completion],
    verification_info: list[Any] | None = None,
    *,
    language: str = "python",
) -> list[float]:
    """1.0 where the answer section holds a program in a fenced block of the language, else 0.0.

    Columns: `verification_info`, optional, whose `language` goes before the argument.

    It is the block that the reward `code` takes, so what is paid here is run there. Here it must
    also be tagged (```` ```python ````), closed by a fence, and hold more than whitespace.

    Args:
        language: of the program, where the row does not say. The usual tags of a language are one:
            `py`, `python3` and `Python`; `c++` and `cpp`.

    Range: {0.0, 1.0}. Source: open-r1's `code_format`, which pays for blocks that its
    `extract_code` does not find (`python3`) and for those in the reasoning.

    Pays:
        text_after, text_before, first_line_repeated, hollow, tags_repeated, tags_nested: text may
            stand around the block; what the program does is not looked at, so pair it with `code`.
        tags_zero_width, tags_in_other_case: how the reasoning is marked is not looked at; pair it
            with `format`.
    """
    infos = verification_info or [None] * len(completions)
    wanted = [_language(info) or language for info in infos]
    return [float(_shown(text, name)) for text, name in zip(completions, wanted, strict=True)]


def _shown(text: str, language: str) -> bool:
    block = extract(text, language)
    return bool(block and block.tag and block.closed and block.code.strip())


def _language(info: Any) -> str:
    """What a row says, empty where it says nothing that can be read."""
    try:
        read = json.loads(info) if isinstance(info, str) else info
    except ValueError:
        return ""
    language = read.get("language") if isinstance(read, dict) else None
    return canonical(language) if isinstance(language, str) else ""
