"""What identifies a problem wherever it is met, and what it asks."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def problem_hash(prompt: Any) -> str:
    """What identifies a problem wherever it is met: a hash of its prompt."""
    return hashlib.sha256(json.dumps(prompt, sort_keys=True).encode()).hexdigest()[:16]


def question(prompt: Any) -> str | None:
    """The text of a prompt that is one, or whose only turn after a system prompt is the user's."""
    if isinstance(prompt, str):
        return prompt
    turns = [turn for turn in prompt if turn["role"] != "system"]
    return turns[0]["content"] if [turn["role"] for turn in turns] == ["user"] else None


def own(prompt: Any) -> Any:
    """A prompt as it was before a table gave each of its parts the keys of all others, as None."""
    if isinstance(prompt, dict):
        return {name: own(part) for name, part in prompt.items() if part is not None}
    return [own(part) for part in prompt] if isinstance(prompt, list) else prompt
