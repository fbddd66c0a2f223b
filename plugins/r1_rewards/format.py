"""Is the whole text one well-formed sequence of the expected tags?"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from r1_rewards.schema import Mode, Schema, tag_names
from r1cli import Completion


def format(
    completions: list[Completion],
    *,
    schema: Schema = "think_answer",
    mode: Literal["strict", "soft"] = "soft",
) -> list[float]:
    """1.0 where the whole text is the expected blocks, in order, once each, and nothing else.

    Columns: none. The text includes a `<think>` that the chat template prefilled. Whitespace after
    the text (in soft mode also before it) does not count; anything else outside the blocks does, as
    does a tag that occurs twice or inside another block.

    Args:
        schema: "think_answer" is `<think>..</think><answer>..</answer>`; "think" is
            `<think>..</think>` and then an answer without tags; a list names your own tags.
        mode: "strict" wants every tag on a line of its own, and no blank line between the blocks
            (open-r1's rule); "soft" takes any whitespace there, or none.

    A block may be empty: a policy that needs no reasoning is no format error. In strict mode an
    empty block still has an empty line between its tags. The untagged answer of "think" may not be
    empty.

    Range: {0.0, 1.0}. Sources: DeepSeek-R1 (arXiv 2501.12948, section 2.2.2), open-r1's
    `format_reward`; trailing text and repeated blocks, which it accepts, score 0 here.

    Pays:
        hollow, tags_only: it says nothing of the content; pair it with a reward that does.
    """
    names = tuple(tag_names(schema))
    untagged_answer = schema == "think"
    return [float(_well_formed(text, names, mode, untagged_answer)) for text in completions]


def _well_formed(text: str, names: tuple[str, ...], mode: Mode, untagged_answer: bool) -> bool:
    tags = [tag for name in names for tag in (f"<{name}>", f"</{name}>")]
    if any(text.count(tag) != 1 for tag in tags):
        return False
    text = text.rstrip() if mode == "strict" else text.strip()
    return _pattern(names, mode, untagged_answer).fullmatch(text) is not None


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...], mode: Mode, untagged_answer: bool) -> re.Pattern[str]:
    # Every tag occurs exactly once before this is matched, so `.*` cannot swallow one.
    inside, between = (r"\n(?:.*\n)", r"\n") if mode == "strict" else (r".*", r"\s*")
    blocks = [f"<{re.escape(name)}>{inside}</{re.escape(name)}>" for name in names]
    tail = rf"{between}\s*\S.*" if untagged_answer else ""
    return re.compile(between.join(blocks) + tail, re.DOTALL)
