"""What decontamination found: every hit as a JSON line, the counts as JSON, and a page to read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from r1cli.data.decontaminate import Hit, Tally
from r1cli.data.row_writer import RowWriter
from r1cli.files import write_atomic

HITS = "hits.jsonl"
ON_PAGE = 200
"""Hits of each benchmark that the page shows; the file has them all."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --mark: #e3a30055; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem 1rem .2rem 0; }
td + td, th + th { text-align: right; }
.hit { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.5rem; padding: .6rem 0;
  border-top: 1px solid var(--line); }
.hit p { grid-column: 1 / -1; margin: 0; opacity: .7; font-size: .9rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace;
  margin: .3rem 0 0; } mark { background: var(--mark); color: inherit; }
"""


class Report:
    """The folder of a report. A context manager: left by an error it keeps the hits of before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shown: dict[str, list[Hit]] = {}
        self._hits = RowWriter(folder / HITS)

    def __enter__(self) -> Report:
        self._hits.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._hits.__exit__(*exc)

    def add(self, hit: Hit) -> None:
        self._hits.write(asdict(hit))
        shown = self._shown.setdefault(hit.benchmark, [])
        if len(shown) < ON_PAGE:
            shown.append(hit)

    def finish(self, tally: Tally, settings: dict[str, Any]) -> None:
        """Write `report.json` and `report.html`."""
        write_atomic(
            self.folder / "report.json",
            json.dumps({**settings, **asdict(tally)}, indent=2, ensure_ascii=False) + "\n",
        )
        text = page(tally, settings, self._shown)
        # A row may hold half a character, which UTF-8 does not have.
        write_atomic(self.folder / "report.html", text.encode(errors="replace").decode())


def page(tally: Tally, settings: dict[str, Any], shown: dict[str, list[Hit]]) -> str:
    """One HTML file that needs nothing from anywhere else."""
    title = f"Contamination of {settings['dataset']}"
    facts = [
        f"{tally.rows} rows, {tally.rows_hit} with a hit, {tally.duplicates} duplicates, "
        f"{tally.kept} kept.",
        f"n-grams of {settings['ngram']} words, normalised as {settings['normalise']!r}, "
        f"column {settings['column']!r}.",
    ]
    counts = "".join(
        f"<tr><td>{escape(name)}</td><td>{settings['benchmarks'][name]}</td><td>{count}</td></tr>"
        for name, count in tally.contaminated.items()
    )
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(fact)}</p>" for fact in facts)]
    parts.append(f"<table><tr><th>benchmark<th>items<th>rows hit</tr>{counts}</table>")
    for name, hits in shown.items():
        more = tally.contaminated[name] - len(hits)
        parts.append(f"<h2>{escape(name)}</h2>")
        parts += map(_hit, hits)
        if more:
            parts.append(f"<p>{more} more in {HITS}</p>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _hit(hit: Hit) -> str:
    best = hit.items[0]
    others = f", and {hit.item_count - 1} other items" if hit.item_count > 1 else ""
    words = best["ngram"].split()
    said = (
        f"row {hit.row} and item {best['item']}: {best['shared']} shared{others}; “{best['ngram']}”"
    )
    both = "".join(f"<pre>{_marked(text, words)}</pre>" for text in (hit.text, best["text"]))
    return f'<div class="hit"><p>{escape(said)}</p>{both}</div>'


def _marked(text: str, words: Sequence[str]) -> str:
    """The text with the n-gram marked, whatever stands between its words."""
    between = r"(?:[\W_]|\\[a-zA-Z]+)*?"
    found = re.search(between.join(map(re.escape, words)), text, re.IGNORECASE)
    if not found:
        return escape(text)
    before, inside, after = text[: found.start()], found[0], text[found.end() :]
    return f"{escape(before)}<mark>{escape(inside)}</mark>{escape(after)}"
