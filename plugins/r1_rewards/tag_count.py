"""Partial credit on the way to the format: how many of the tags are there, once each?"""

from __future__ import annotations

from typing import Literal

from r1_rewards.schema import Schema, tag_names
from r1cli import Completion


def tag_count(
    completions: list[Completion],
    *,
    schema: Schema = "think_answer",
    mode: Literal["strict", "soft"] = "soft",
) -> list[float]:
    """The share of the expected tags that occur exactly once.

    Columns: none. A tag that occurs twice counts as missing, so writing it again never pays.

    Args:
        schema: as for `format`: "think_answer", "think" or a list of your own tag names.
        mode: "strict" counts a tag only with its line breaks (open-r1's rule); "soft" counts it
            wherever it stands.

    Range: [0, 1] in steps of one tag. Source: open-r1's `tag_count_reward`, whose values strict
    mode reproduces.

    Pays:
        tags_reversed, tags_nested, tags_only, tags_unclosed, text_before, text_after, hollow,
        prompt_echoed: it counts tags, wherever they stand; order and content are for `format`.
    """
    tags = _expected(tag_names(schema), mode == "strict")
    return [sum(text.count(tag) == 1 for tag in tags) / len(tags) for text in completions]


def _expected(names: list[str], strict: bool) -> list[str]:
    tags = [tag for name in names for tag in (f"<{name}>", f"</{name}>")]
    if not strict:
        return tags
    first, last = 0, len(tags) - 1
    return [
        ("" if i == first else "\n") + tag + ("" if i == last else "\n")
        for i, tag in enumerate(tags)
    ]
