"""TeX mathematics as MathML, which browsers draw without a script or a font from elsewhere.

The part that models write. What it does not know raises UnknownTeXError, and is best shown as it
stands: half a formula says something else.
"""

# ruff: noqa: RUF001, S105 - signs that look like others are the point; tokens are no passwords

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

from r1cli.viewing.signs import ACCENTS, BLACKBOARD, FUNCTIONS, LETTERS, OPERATORS, SPACES

TEXTS = r"text(?:bf|it|rm|normal)?|math(?:rm|bf|it|sf)|operatorname|mbox"
TOKEN = re.compile(rf"\\(?:{TEXTS})\s*\{{[^{{}}]*\}}|\\[A-Za-z]+\*?|\\.|\S", re.S)
WORDS = re.compile(r"\\[a-z]+\s*\{(?P<words>[^\\{}]*)\}", re.S)
DEEPEST = 60  # groups and commands in one another; a text may hold thousands

FENCES = {"(": "(", ")": ")", "[": "[", "]": "]", "|": "|", ".": "", "/": "/", "<": "⟨", ">": "⟩"}
NOTHING = {"displaystyle", "textstyle", "limits", "nolimits", "big", "Big", "bigg", "Bigg", "bigl"}
NOTHING |= {"bigr", "Bigl", "Bigr", "hfill", "hline", "nonumber"}
TABLES = {"matrix": "", "pmatrix": "()", "bmatrix": "[]", "vmatrix": "||", "Bmatrix": "{}"}
TABLES |= dict.fromkeys(("aligned", "align", "align*", "array", "gathered", "split"), "")


class UnknownTeXError(ValueError):
    pass


def mathml(tex: str, *, block: bool = False) -> str:
    """`tex`, without its dollar signs, as a `<math>` element that keeps the source as its title.

    Raises UnknownTeXError.
    """
    reader = _Reader(TOKEN.findall(tex))
    inside = reader.row(())
    display = ' display="block"' if block else ""
    return f'<math{display} title="{escape(tex.strip())}">{inside}</math>'


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        if self.at > len(self.tokens):
            raise UnknownTeXError("it ends too soon")
        return self.tokens[self.at - 1]

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise UnknownTeXError(f"no {token}")

    @contextmanager
    def deeper(self) -> Iterator[None]:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UnknownTeXError("nested too deep")
        yield
        self.depth -= 1

    def row(self, ends: tuple[str, ...]) -> str:
        """Everything up to one of the `ends`, which is left; up to the end where none is given."""
        parts = []
        with self.deeper():
            while self.next not in ends and (self.next or ends):
                parts.append(self.scripted())
        return f"<mrow>{''.join(parts)}</mrow>"

    def scripted(self) -> str:
        """One thing with what stands below and above it."""
        limits = self.next in ("\\sum", "\\prod", "\\lim", "\\max", "\\min")
        base = "<mrow></mrow>" if self.next in ("^", "_") else self.number() or self.one()
        scripts: dict[str, str] = {}
        while self.next in ("^", "_", "'", "\\limits"):
            mark = self.take()
            if mark == "'":
                scripts["^"] = scripts.get("^", "") + "<mo>′</mo>"
            elif mark != "\\limits":
                scripts[mark] = scripts.get(mark, "") + self.one()
        low, high = scripts.get("_"), scripts.get("^")
        kind = ("munder", "mover", "munderover") if limits else ("msub", "msup", "msubsup")
        if low and high:
            return f"<{kind[2]}>{base}{_one(low)}{_one(high)}</{kind[2]}>"
        if low:
            return f"<{kind[0]}>{base}{_one(low)}</{kind[0]}>"
        return f"<{kind[1]}>{base}{_one(high)}</{kind[1]}>" if high else base

    def number(self) -> str:
        """The digits that come next, together: as the base of a power, not as an argument."""
        start = self.at
        while self.next.isdecimal() or (self.next == "." and self.at > start):
            self.at += 1
        if self.tokens[self.at - 1 : self.at] == ["."] and self.at > start:
            self.at -= 1  # the full stop of a sentence
        digits = "".join(self.tokens[start : self.at])
        return f"<mn>{digits}</mn>" if digits else ""

    def one(self) -> str:
        """What an argument is: a group, a command, or one sign."""
        token = self.take()
        if words := WORDS.fullmatch(token):
            return f"<mtext>{escape(words['words'])}</mtext>"
        if token == "{":
            inside = self.row(("}",))
            self.expect("}")
            return inside
        if token.startswith("\\"):
            with self.deeper():
                return self.command(token[1:])
        if token.isdecimal():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{escape(token)}</mi>"
        if token in "}&^_#%":
            raise UnknownTeXError(f"a {token} out of place")
        return f"<mo>{'−' if token == '-' else escape(token)}</mo>"

    def command(self, name: str) -> str:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return f"<mfrac>{self.one()}{self.one()}</mfrac>"
        if name in ("binom", "dbinom"):
            pair = f'<mfrac linethickness="0">{self.one()}{self.one()}</mfrac>'
            return f"<mrow><mo>(</mo>{pair}<mo>)</mo></mrow>"
        if name == "sqrt":
            return self.root()
        if name in ("boxed", "fbox"):
            return f'<mrow class="boxed">{self.one()}</mrow>'
        if name in ACCENTS:
            return f"<mover>{self.one()}<mo>{ACCENTS[name]}</mo></mover>"
        if name == "left":
            return self.fenced()
        if name == "begin":
            return self.table()
        if name in ("mathbb", "mathcal", "underline", "pmod", "phantom"):
            return self.styled(name)
        if name in FUNCTIONS:
            return f"<mi>{name}</mi>"
        if name in LETTERS:
            return f"<mi>{LETTERS[name]}</mi>"
        if name in OPERATORS:
            return f"<mo>{escape(OPERATORS[name])}</mo>"
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}"></mspace>'
        if name in NOTHING:
            return ""
        if name == "|":
            return "<mo>‖</mo>"
        if name in "{}%$#&_":
            return f"<mo>{escape(name)}</mo>"
        raise UnknownTeXError(f"\\{name}")

    def root(self) -> str:
        if self.next != "[":
            return f"<msqrt>{self.one()}</msqrt>"
        self.take()
        degree = self.row(("]",))
        self.expect("]")
        return f"<mroot>{self.one()}{degree}</mroot>"

    def styled(self, name: str) -> str:
        inside = self.one()
        if name == "mathbb":
            letter = re.sub(r"<[^>]*>", "", inside)
            if letter not in BLACKBOARD:
                raise UnknownTeXError(f"\\mathbb {letter}")
            return f"<mi>{BLACKBOARD[letter]}</mi>"
        if name == "pmod":
            return f"<mrow><mo>(</mo><mi>mod</mi><mspace width='0.3em'/>{inside}<mo>)</mo></mrow>"
        kind = {"phantom": "mphantom"}.get(name, "mrow")
        return f"<{kind}>{inside}</{kind}>"

    def fence(self) -> str:
        token = self.take()
        if token.startswith("\\"):
            return token[1] if token[1:] in ("{", "}") else escape(OPERATORS.get(token[1:], "‖"))
        if token not in FENCES:
            raise UnknownTeXError(f"\\left{token}")
        return FENCES[token]

    def fenced(self) -> str:
        opening = self.fence()
        inside = self.row(("\\right",))
        self.expect("\\right")
        return f"<mrow><mo>{opening}</mo>{inside}<mo>{self.fence()}</mo></mrow>"

    def table(self) -> str:
        """Rows of cells, as matrices, cases and aligned equations have them."""
        name = self.name()
        if name == "array":
            self.name()  # how its columns are set
        if name not in TABLES and name != "cases":
            raise UnknownTeXError(f"\\begin{{{name}}}")
        rows, cells = [], []
        while True:
            cells.append(f"<mtd>{self.row(('&', chr(92) * 2, chr(92) + 'end'))}</mtd>")
            mark = self.take()
            if mark == "&":
                continue
            rows.append(f"<mtr>{''.join(cells)}</mtr>")
            cells = []
            if mark == "\\end":
                break
        if self.name() != name:
            raise UnknownTeXError(f"no \\end{{{name}}}")
        inside = f"<mtable>{''.join(rows)}</mtable>"
        if name == "cases":
            return f"<mrow><mo>{{</mo>{inside}</mrow>"
        fences = TABLES[name]
        return (
            f"<mrow><mo>{fences[0]}</mo>{inside}<mo>{fences[1]}</mo></mrow>" if fences else inside
        )

    def name(self) -> str:
        self.expect("{")
        letters = []
        while self.next != "}":
            letters.append(self.take())
        self.expect("}")
        return "".join(letters)


def _one(parts: str) -> str:
    return f"<mrow>{parts}</mrow>"
