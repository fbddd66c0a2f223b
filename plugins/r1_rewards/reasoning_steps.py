"""Does the text show its work in steps? A nudge for the first hours of training, no more."""

from __future__ import annotations

import re

from r1cli import Completion

_STEP = re.compile(
    r"\bStep \d+:|^[ \t]*(?:\d+\.|[-*])(?=\s)|\b(?:First|Second|Third|Next|Then|Finally),",
    re.MULTILINE,
)


def reasoning_steps(completions: list[Completion], *, steps: int = 3) -> list[float]:
    """The share of `steps` that the text shows, at most 1.

    Columns: none. A step is `Step 1:`, a numbered or bulleted line, or `First,`, `Second,`,
    `Third,`, `Next,`, `Then,`, `Finally,`, followed by words of its own: a step without text or
    said before does not count, so repeating a marker does not pay.

    Args:
        steps: how many steps earn the full reward.

    Range: [0, 1]. Source: open-r1's `reasoning_steps_reward`, with numbers recognised on every
    line. It rewards the look of reasoning; give it a small weight and end it early.

    Pays:
        letters_for_words: it cannot tell a step from a letter after a marker; see above.
    """
    return [min(1.0, len(_distinct_steps(text)) / max(1, steps)) for text in completions]


def _distinct_steps(text: str) -> set[str]:
    contents = _STEP.split(text)[1:]
    return {" ".join(content.casefold().split()) for content in contents} - {""}
