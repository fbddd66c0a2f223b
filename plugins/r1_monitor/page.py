"""The HTML page: one file, no script, no font, no picture from anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --faint: #6b7280; --paper: #fff; --card: #f6f7f9;
  --line: #dfe3e8; --good: #1f7a4d; --bad: #b42318; --mark: #2f81c9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --faint: #9aa4b2; --paper: #14171a;
  --card: #1d2126; --line: #333a42; --good: #5bc08d; --bad: #f1786b; --mark: #5aa6e8; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
p.end { margin: .2rem 0 0; color: var(--faint); } .good { color: var(--good); }
.bad { color: var(--bad); } .faint { color: var(--faint); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
div.wide { overflow-x: auto; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
td:last-child { white-space: normal; overflow-wrap: break-word; padding-right: 0; }
th { color: var(--faint); font-weight: 500; font-size: .85rem; }
td.number, th.number { text-align: right; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 1rem; }
.curves svg { width: 100%; height: auto; }
.bar { position: relative; display: inline-block; width: 10rem; height: .8rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 3px; }
.bar i { position: absolute; top: 0; bottom: 0; background: var(--mark); opacity: .45; }
.bar b { position: absolute; top: -2px; bottom: -2px; width: 2px; background: var(--mark); }
.sample { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: .6rem .9rem; margin: .6rem 0; }
.sample .numbers { font-size: .85rem; color: var(--faint); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace;
  margin: .4rem 0 0; }
details { margin: .6rem 0; } summary { cursor: pointer; }
"""


class Markup(str):
    """Text that is HTML already; everything else is escaped."""


def text(value: Any) -> str:
    """A value as HTML: markup as it is, all else escaped."""
    return value if isinstance(value, Markup) else escape(str(value))


def tag(name: str, *inside: Any, kind: str = "") -> Markup:
    """`<name class="kind">inside</name>`."""
    opened = f'<{name} class="{escape(kind)}">' if kind else f"<{name}>"
    return Markup(f"{opened}{''.join(map(text, inside))}</{name}>")


def folded(summary: str, *inside: Any) -> Markup:
    return tag("details", tag("summary", summary), *inside)


def table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Rows with the union of their columns; a column of numbers alone is set to the right."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    right = {c for c in columns if all(_numeric(row.get(c, "")) for row in rows)}

    def line(cell: str, values: Iterable[tuple[str, Any]]) -> Markup:
        return tag("tr", *(tag(cell, v, kind="number" if c in right else "") for c, v in values))

    head = line("th", ((column, column) for column in columns))
    body = [line("td", ((c, row.get(c, "")) for c in columns)) for row in rows]
    return tag("div", tag("table", head, *body), kind="wide")


def interval(low: float, mean: float, high: float) -> Markup:
    """A mean and its interval drawn on a bar from 0 to 1."""
    low, mean, high = (min(max(100 * value, 0.0), 100.0) for value in (low, mean, high))
    drawn = (
        f'<i style="left:{low:.2f}%;width:{high - low:.2f}%"></i><b style="left:{mean:.2f}%"></b>'
    )
    return tag("span", Markup(drawn), kind="bar")


def share(part: float) -> Markup:
    """A share of a whole drawn on a bar."""
    width = min(max(100 * part, 0.0), 100.0)
    return tag("span", Markup(f'<i style="left:0;width:{width:.2f}%"></i>'), kind="bar")


def page(title: str, *body: Any) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(map(text, body))
        + "\n</body></html>\n"
    )


def _numeric(value: Any) -> bool:
    if isinstance(value, Markup):
        return False
    return str(value).strip("+-%").replace(",", "").replace(".", "", 1).isdigit() or value == ""
