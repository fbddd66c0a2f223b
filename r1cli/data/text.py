"""The text of a row that says what is asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from r1cli.errors import UsageError, suggest

COLUMNS = (
    *("problem", "question", "prompt", "instruction", "query", "problem_statement"),
    *("question_content", "Question", "Problem", "input", "messages", "text"),
)
"""Where the text is looked for, best first, unless a column is named."""


def text_column(
    present: Sequence[str],
    wanted: str = "",
    where: str = "the rows",
    remedy: str = "name it with --prompt-column",
) -> str:
    """The column that holds the text. Raises UsageError where there is none."""
    if wanted:
        if wanted not in present:
            raise UsageError(f"no column {wanted!r} in {where}; {suggest(wanted, present)}")
        return wanted
    for name in COLUMNS:
        if name in present:
            return name
    raise UsageError(f"no column of problems in {where}, which has {', '.join(present)}; {remedy}")


def text_of(value: Any) -> str:
    """A text as it is, of messages what the user says, of anything else its JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(m, dict) and "content" in m for m in value):
        return "\n".join(_contents(value))
    return json.dumps(value, ensure_ascii=False, default=str)


def words_of(value: Any) -> str:
    """The text without what two writings of a problem may differ in: case and blanks."""
    return " ".join(text_of(value).lower().split())


def _contents(messages: Iterable[dict[str, Any]]) -> list[str]:
    said = [str(m["content"] or "") for m in messages if m.get("role") != "system"]
    asked = [str(m["content"] or "") for m in messages if m.get("role") == "user"]
    return asked or said
