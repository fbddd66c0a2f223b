"""Which answer does a text declare? Pure text work, linear in the length of the text."""

# ruff: noqa: RUF001 - full-width signs are meant

from __future__ import annotations

import re
from typing import Literal

Extract = Literal["declared", "any"]

# An answer is declared near the end; the limits keep the worst text at a few milliseconds.
MAX_TEXT = 20_000  # characters from the end that are searched
MAX_ANSWER = 1_000  # characters of one formula or line that can be an answer
MAX_ANNOUNCED = 20  # announcements that are looked at, from the last one back

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_ANNOUNCED = re.compile(
    r"^[ \t#]*\**(?:final )?answer\**[ \t]*$"
    r"|####[ \t]*"
    r"|\b(?:answer|solution)s?\b(?:[ \t]+to[^\n.:]{1,60}?)?[*_\s]{0,8}"
    r"(?:\bis\b|\bare\b|\bequals\b|\bwould be\b|\bwill be\b|[:=：])(?:[ \t]*:)?"
    r"(?:[ \t]+(?:about|approximately|roughly|exactly|therefore|thus|simply)\b)?"
    r"|(?:答案|réponse)[ \t]*(?:是|为|est|[:：])",
    re.IGNORECASE | re.MULTILINE,
)
_FORMULA = re.compile(
    r"\$\$(?P<a>[^$]+)\$\$|(?<!\\)\$(?P<b>(?:\\\$|[^$\n])+)(?<!\\)\$"
    r"|\\\[(?P<c>(?:[^\\]|\\(?!\])){1,1000})\\\]|\\\((?P<d>(?:[^\\]|\\(?!\))){1,1000})\\\)"
)
_JOIN = re.compile(r"\s*(?:,|;|,?\s*\b(?:and|or)\b|,?\s*\\text\s*\{\s*(?:and|or)\s*\})\s*")
_MATH_MARKS = re.compile(r"\$|\\[()\[\]]|\\q?quad(?![A-Za-z])|\\[,; ]")
_SENTENCE = re.compile(r"[.!?。](?=\s|$)|[。;\n]")
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\d])", re.ASCII)
_CHOICE = re.compile(r"\(?[A-Z]\)[*_]*\s+\S")  # in words: `B) the second one`
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|mbox|operatorname|begin|end)[a-z]*\*?\{[^{}]*\}")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_MATH_WORD = re.compile(
    r"(?:arc)?(?:sin|cos|tan|sec|csc|cot)|log|exp|sqrt|inf(?:inity)?|frac|and|mod|max|min|lim|det"
    r"|gcd|lcm"
)


def final_answer(section: str, extract: Extract = "declared") -> str | None:
    """The answer that `section` declares, as written; None when it declares none.

    In this order: the last box (boxes joined by commas or "and" are one list), the last
    announcement ("the answer is", `####`), a section that is nothing but an answer, the
    formula or the number after `=` that ends the section; with `extract="any"`,
    the last number. An unclosed box declares nothing, and nothing else is looked for then.
    """
    if "<answer>" in section:
        section = section.rpartition("<answer>")[2].partition("</answer>")[0]
    section = section[-MAX_TEXT:]
    if _BOX.search(section):
        return _last_box(section)
    found = _announced(section) or _bare(section) or _closing(section)
    if found is None and extract == "any":
        numbers = _NUMBER.findall(section)
        found = numbers[-1] if numbers else None
    return found


def is_prose(text: str) -> bool:
    """Whether `text` reads as a sentence and not as a formula, a name or a number with a unit."""
    words = [w for w in _WORD.findall(_TEXT_COMMAND.sub(" ", text)) if not _MATH_WORD.fullmatch(w)]
    if "=" in text:
        return bool(words)  # "so 9 * 2 = 18 dollars": the part after the sign is the answer
    number_with_unit = re.match(r"[-+$€£]*\s*[\d.,/]+\s*[^\d$\\]*$", text, re.ASCII)
    return len(words) > (4 if number_with_unit else 1)


def _last_box(text: str) -> str | None:
    boxes: list[tuple[int, int, str]] = []  # start, end, content
    for match in _BOX.finditer(text):
        if boxes and match.start() < boxes[-1][1]:
            continue  # nested: the outer box is what is declared
        closed = _braced(text, match.end())
        boxes.append((match.start(), *(closed or (len(text), ""))))
    declared = [boxes.pop()]
    while boxes and _JOIN.fullmatch(
        _MATH_MARKS.sub(" ", text[boxes[-1][1] : declared[0][0]][:MAX_ANSWER])
    ):
        declared.insert(0, boxes.pop())
    contents = [content.strip() for _, _, content in declared]
    return ",".join(dict.fromkeys(contents)) if all(contents) else None


def _braced(text: str, start: int) -> tuple[int, str] | None:
    """The end and the content of the group that opens at `start`, or of the bare token there."""
    if not text.startswith("{", start):
        token = re.compile(r"[^\s{}$\\]+").match(text, start)
        return (token.end(), token.group().rstrip(".,;")) if token else None
    depth = 0
    for match in re.compile(r"\\[{}\\]|[{}]").finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return match.end(), text[start + 1 : match.start()]
    return None


def _announced(text: str) -> str | None:
    """What follows the last announcement that is followed by an answer."""
    for match in reversed(list(_ANNOUNCED.finditer(text))[-MAX_ANNOUNCED:]):
        rest = text[match.end() : match.end() + MAX_ANSWER].lstrip(" \t\n*_:：")
        formulas = _formulas(rest)
        if formulas is not None:
            return formulas
        line = rest.partition("\n")[0]
        if _CHOICE.match(line) and "answer" in match[0].lower():
            return line.strip("*_ \t")
        sentence = _SENTENCE.split(line, maxsplit=1)[0]
        parts = (sentence, sentence.rpartition(" is ")[2], sentence.rpartition("=")[2], line)
        found = next(filter(None, map(_bare, parts)), None)
        if found is not None:
            return found
    return None


def _formulas(text: str) -> str | None:
    """The formula that `text` starts with, and those that a comma, "and" or "or" join to it."""
    found: list[str] = []
    position = 0
    while match := _FORMULA.match(text, position):
        found.append(_content(match))
        join = _JOIN.match(text, match.end())
        position = join.end() if join else len(text)
    return ",".join(found) if found else None


def _content(formula: re.Match[str]) -> str:
    inside: str = next(filter(None, formula.groups()))
    return inside.strip()


def _bare(text: str) -> str | None:
    """`text` itself where it is an answer and nothing else, without its markup."""
    text = text.strip().strip('*_`"').strip()
    if len(text) > MAX_ANSWER:
        return None
    spans = list(_FORMULA.finditer(text))
    if len(spans) == 1 and not re.search(r"\d", text[: spans[0].start()] + text[spans[0].end() :]):
        return _content(spans[0])
    text = text.rstrip(".。,;!").strip()
    if not text or "\n\n" in text or (len(spans) > 1 and _formulas(text) is None) or is_prose(text):
        return None
    return _formulas(text) or text


def _closing(text: str) -> str | None:
    """The formula that ends the text, or the number after the `=` that ends its last line."""
    text = text[-2 * MAX_ANSWER :].rstrip().rstrip("*.。").rstrip()
    spans = list(_FORMULA.finditer(text))
    if spans and not re.search(r"[\d\n]|\w{2,}.*\w{2,}", text[spans[-1].end() :].strip()):
        return _content(spans[-1])
    line = text.rpartition("\n")[2]
    after = line.rpartition("=")[2].strip() if "=" in line else ""
    return after if after and not is_prose(after) and _NUMBER.search(after) else None
