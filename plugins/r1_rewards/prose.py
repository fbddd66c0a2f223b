"""The words of a text without its code and maths, in runs of one script. Linear in its length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# Every alternative matches wherever it starts: an opened formula ends with its paragraph at the
# latest, an opened fence with the text. So no text makes the search go back, or hides the rest.
_NO_PROSE = re.compile(
    r"```(?:(?!```).)*+(?:```)?"
    r"|`[^`\n]*+`?"
    r"|\$\$(?:(?!\$\$|\n\n).)*+(?:\$\$)?"
    r"|\$[^$\n]{1,400}\$"
    r"|\\\((?:(?!\\\)|\n\n).)*+(?:\\\))?"
    r"|\\\[(?:(?!\\\]|\n\n).)*+(?:\\\])?"
    r"|\\(?:begin|end)\{[^{}\n]{1,40}\}"
    r"|\\[A-Za-z]++"
    r"|</?[A-Za-z][^<>\n]{0,40}>"
    r"|https?://[^\s<>]++",
    re.DOTALL,
)
_SENTENCE = re.compile(r"[.!?;:\n。！？；：।؟]+")  # noqa: RUF001 - full-width signs are meant

_SCRIPTS = {  # what is told apart before any language is; the letters of all others are one more
    "latin": "A-Za-z\u00aa-\u024f\u1e00-\u1eff",
    "cyrillic": "\u0400-\u052f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "arabic": "\u0600-\u06ff\u0750-\u077f",
    "hebrew": "\u0590-\u05ff",
    "indic": "\u0900-\u0dff",
    "hangul": "\uac00-\ud7af\u1100-\u11ff",
    "spaceless": "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff",  # Thai, Lao, Tibetan, Burmese, Khmer
    "han": "\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff",  # with kana: Japanese mixes the two
}
_RUN = re.compile(
    "|".join(f"(?P<{name}>[{letters}]+)" for name, letters in _SCRIPTS.items())
    + r"|(?P<other>[^\W\d_]+)"
)
_LETTERS_PER_WORD = {"han": 2, "spaceless": 4}  # where no space says what a word is
_DENSITY = {"han": 4, "hangul": 2}  # letters of an alphabet that say as much as one of these


@dataclass
class Run:
    """Sentences of one script, or its share of them."""

    script: str
    text: str = ""
    size: int = 0  # in letters of an alphabet
    words: float = 0.0


def runs(text: str, enough: int) -> list[Run]:
    """The prose of `text` in runs of at least `enough` letters, so that each can be told.

    Only a script that has fewer in all of `text` is a shorter run. One letter alone is no word: it
    is a variable.
    """
    filling: dict[str, Run] = {}
    full: dict[str, list[Run]] = {}
    for sentence in _SENTENCE.split(_NO_PROSE.sub(" ", unicodedata.normalize("NFC", text))):
        for script, words in _by_script(sentence).items():
            run = filling.setdefault(script, Run(script))
            letters = sum(map(len, words))
            run.text += " " + " ".join(words)
            run.size += letters * _DENSITY.get(script, 1)
            run.words += letters / _LETTERS_PER_WORD.get(script, letters / len(words))
            if run.size >= enough:
                full.setdefault(script, []).append(filling.pop(script))
    for script, rest in filling.items():
        if script in full:
            last = full[script][-1]
            last.text += rest.text
            last.size += rest.size
            last.words += rest.words
        else:
            full[script] = [rest]
    return [run for found in full.values() for run in found]


def _by_script(sentence: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for script, word in _words(sentence):
        if len(word) > 1 or script in _LETTERS_PER_WORD or script in _DENSITY:
            found.setdefault(script, []).append(word)
    return found


def _words(sentence: str) -> Iterator[tuple[str, str]]:
    for match in _RUN.finditer(sentence):
        yield match.lastgroup or "other", match.group()
