"""What a model wrote as HTML: mathematics set, code coloured, reasoning folded; nothing is lost."""

from __future__ import annotations

import re
from html import escape

from r1cli.viewing.tex import UnknownTeXError, mathml

CODE = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[\w+#.-]*)[^\n]*\n"
    r"(?P<code>.*?)(?:^(?P=fence)[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
# Up to the next beginning of its kind only: a model that loops writes thousands without an end.
MATHS = re.compile(
    r"\$\$(?P<a>[^$]+)\$\$"
    r"|(?<!\\)\\\[(?P<b>(?:(?!(?<!\\)\\\[).)+?)\\\]"
    r"|(?<!\\)\\\((?P<c>(?:(?!(?<!\\)\\\().)+?)\\\)"
    r"|(?<![\\$\w])\$(?P<d>[^$\s](?:[^$\n]*[^\s$\\])?)\$(?!\d)",
    re.S,
)
LONGEST = 2000  # characters of one formula

STYLE = """
.said { white-space: pre-wrap; overflow-wrap: anywhere; }
.said pre, .said details { white-space: pre-wrap; } .said details { margin: 0 0 .5rem; }
.said pre { background: var(--card); border: 1px solid var(--line); border-radius: 5px;
  padding: .5rem .7rem; overflow-x: auto; margin: .4rem 0; }
code.tex { font: .9em ui-monospace, monospace; color: var(--mark); }
math { font-size: 1.06em; } math .boxed { border: 1px solid currentColor; padding: .15em .3em; }
"""


def html(completion: str) -> str:
    """A whole completion. The part inside `<think>` is folded, open where nothing follows it."""
    before, closing, answer = completion.rpartition("</think>")
    if not closing and "<think>" not in completion:
        return f'<div class="said">{_blocks(completion)}</div>'
    reasoning = (before if closing else completion).replace("<think>", "", 1).strip("\n")
    state = "" if closing else " open"
    unclosed = "" if closing else ", not closed"
    folded = (
        f"<details{state}><summary>reasoning, {len(reasoning):,} characters{unclosed}</summary>"
        f"{_blocks(reasoning)}</details>"
    )
    return f'<div class="said">{folded}{_blocks(answer.strip(chr(10)) if closing else "")}</div>'


def _blocks(text: str) -> str:
    parts, end = [], 0
    for found in CODE.finditer(text):
        parts.append(_prose(text[end : found.start()]))
        parts.append(code_html(found["code"], found["tag"]))
        end = found.end()
    return "".join([*parts, _prose(text[end:])])


def _prose(text: str) -> str:
    parts, end = [], 0
    for found in MATHS.finditer(text):
        parts.append(escape(text[end : found.start()]))
        tex = next(filter(None, found.groups()))
        parts.append(_formula(tex, found[0], block=bool(found["a"] or found["b"])))
        end = found.end()
    return "".join([*parts, escape(text[end:])])


def _formula(tex: str, source: str, *, block: bool) -> str:
    if len(tex) <= LONGEST:
        try:
            return mathml(tex, block=block)
        except UnknownTeXError:
            pass
    return f'<code class="tex">{escape(source)}</code>'


def code_html(code: str, language: str) -> str:
    """Coloured by its tag; plain where no such language is known."""
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.lexers.special import TextLexer  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    inside: str = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="code">{inside}</pre>'


def code_style() -> str:
    """The colours, for light and dark."""
    from pygments.formatters import HtmlFormatter

    light = HtmlFormatter(style="friendly").get_style_defs(".code")
    dark = HtmlFormatter(style="monokai").get_style_defs(".code")
    return (
        f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n.code {{ background: none }}"
    )
