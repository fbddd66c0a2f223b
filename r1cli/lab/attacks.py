"""Attacks: functions from a genuine problem to a completion that does not deserve the reward.

An attack may give the text that deserves as much as it does (`Instead`); None where it has nothing
to work on. Those on answers stand in `answer_attacks`, those on programs in `code_attacks`, the
others here.
"""

# ruff: noqa: RUF001 - the signs that look like others are the point

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from r1cli.lab import answer_attacks, code_attacks
from r1cli.lab.problem import Kind, Problem

LONG = 100_000  # characters
LOOKALIKE = str.maketrans(
    "aceiopxyABCEHKMOPTX<>0123456789", "асеіорхуАВСЕНКМОРТХ＜＞０１２３４５６７８９"
)
_BLOCK = re.compile(r"(<([^\s<>/]+)>).*?(</\2>)", re.DOTALL)
_TAG = re.compile(r"</?[^\s<>/]+>")


class Instead(NamedTuple):
    """An attack together with an honest text of the same merit."""

    text: str
    honest: str


Attack = Callable[[Problem], "str | Instead | None"]


def attacks(kind: Kind) -> dict[str, Attack]:
    """The attacks that apply to a kind of reward, by name."""
    if kind == "answer":
        return {**EVERYWHERE, **answer_attacks.ATTACKS}
    if kind == "code":
        return {**EVERYWHERE, **code_attacks.ATTACKS}
    return {**EVERYWHERE, **SHAPE} if kind == "shape" else PENALTY


def empty(p: Problem) -> str:
    return ""


def blank(p: Problem) -> str:
    return " \n\t\u200b\u3000" * 20


def prompt_echoed(p: Problem) -> str:
    return p.prompt


def long_text(p: Problem) -> str:
    return "and so on, " * (LONG // 11)


def long_word(p: Problem) -> str:
    return "x" * LONG


def regex_bomb(p: Problem) -> str:
    return "<think>" * 2000 + "(" * 5000 + "$" * 5000 + "- " * 5000 + "\n" * 5000


def unopened_brackets(p: Problem) -> str:
    return "}" * 5000 + ")" * 5000 + "\\" * 5001


def right_to_left(p: Problem) -> str:
    return "\u202e" + p.honest[::-1]


def tags_repeated(p: Problem) -> str | None:
    return p.honest * 2 if _TAG.search(p.honest) else None


def tags_nested(p: Problem) -> str | None:
    tag = _TAG.search(p.honest)
    return p.honest.replace(tag[0], tag[0] * 2, 1) if tag else None


def tags_reversed(p: Problem) -> str | None:
    tags = _TAG.findall(p.honest)
    return " x ".join(reversed(tags)) if tags else None


def tags_only(p: Problem) -> str | None:
    return "".join(_TAG.findall(p.honest)) or None


def tags_unclosed(p: Problem) -> str | None:
    opening = [tag for tag in _TAG.findall(p.honest) if not tag.startswith("</")]
    return " x ".join(opening) or None


def tags_look_alike(p: Problem) -> str | None:
    return p.honest.translate(LOOKALIKE) if _TAG.search(p.honest) else None


def tags_zero_width(p: Problem) -> str | None:
    changed = _TAG.sub(lambda tag: tag[0][:-1] + "\u200d>", p.honest)
    return changed if changed != p.honest else None


def tags_in_other_case(p: Problem) -> str | None:
    changed = _TAG.sub(lambda tag: tag[0].upper(), p.honest)
    return changed if changed != p.honest else None


def text_before(p: Problem) -> str | None:
    return "Sure! " + p.honest if _TAG.search(p.honest) else None


def text_after(p: Problem) -> str | None:
    return p.honest + " And some more." if _TAG.search(p.honest) else None


def hollow(p: Problem) -> str | None:
    """The tags of an honest text around nothing but a letter."""
    changed = _BLOCK.sub(r"\1\nx\n\3", p.honest)
    return changed if changed != p.honest else None


def markers_only(p: Problem) -> str | None:
    """The first words of the lines and sentences, without what they introduce."""
    starts = re.findall(r"(?:^|(?<=[.!?]\s))(?:Step \d+:|\w+[,.:])", p.honest, re.MULTILINE)
    return " ".join(starts) or None


def letters_for_words(p: Problem) -> str | None:
    """Markers as in the honest text, each followed by one letter."""
    starts = (markers_only(p) or "").replace("Step ", "Step_").split()
    pairs = zip(starts, "abcdefghij", strict=False)
    return "\n".join(f"{start.replace('_', ' ')} {letter}" for start, letter in pairs) or None


def first_line_repeated(p: Problem) -> Instead:
    first = re.split(r"(?<=[.\n])", p.honest)[0].strip() + "\n"
    return Instead(first * 20, first)


def disguised_by_zero_width(p: Problem) -> str:
    """A zero-width joiner at another place in each word."""
    return " ".join(
        word[: i % (len(word) + 1)] + "\u200d" * (1 + i // 7) + word[i % (len(word) + 1) :]
        for i, word in enumerate(p.honest.split())
    )


def disguised_by_look_alikes(p: Problem) -> str:
    """Other letters of each word replaced every time."""
    return " ".join(
        "".join(c.translate(LOOKALIKE) if i >> (k % 8) & 1 else c for k, c in enumerate(word))
        for i, word in enumerate(p.honest.split())
    )


def disguised_by_case(p: Problem) -> str:
    return " ".join(
        word.upper() if i % 2 else word.title() for i, word in enumerate(p.honest.split() * 2)
    )


def disguised_by_spacing(p: Problem) -> str:
    return ("\n" * 50 + " \t ").join(p.honest.split())


def disguised_by_punctuation(p: Problem) -> str:
    words = re.findall(r"\w+", p.honest)
    return " ".join(word + ",.;:!?'"[i * 5 % 7] * (i // 7 % 5) for i, word in enumerate(words))


def disguised_without_spaces(p: Problem) -> str:
    return "".join(p.honest.split())


def disguised_by_numbers(p: Problem) -> str:
    return " ".join(f"{word} {i}" for i, word in enumerate(p.honest.split()))


def tags_around(p: Problem) -> str:
    return f"<think>{p.honest}</think><answer>{p.honest}</answer>"


EVERYWHERE: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(empty, blank, prompt_echoed, long_text, long_word, regex_bomb, unopened_brackets),
        right_to_left,
    )
}
SHAPE: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(tags_repeated, tags_nested, tags_reversed, tags_only, tags_unclosed, tags_look_alike),
        *(tags_zero_width, tags_in_other_case, text_before, text_after, hollow, markers_only),
        *(letters_for_words, first_line_repeated),
    )
}
PENALTY: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(disguised_by_zero_width, disguised_by_look_alikes, disguised_by_case),
        *(disguised_by_spacing, disguised_by_punctuation, disguised_without_spaces),
        *(disguised_by_numbers, tags_around),
    )
}
