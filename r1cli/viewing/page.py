"""The samples of a result as one HTML file: no script, nothing from elsewhere, filters in CSS."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from r1cli.evaluation.results import Result
from r1cli.evaluation.score import Sample
from r1cli.evaluation.table import rows
from r1cli.viewing import text

FILTERS = ("all", "wrong", "right", "truncated", "unparseable", "disagreement")

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --faint: #6b7280; --paper: #fff; --card: #f6f7f9;
  --line: #dfe3e8; --good: #1f7a4d; --bad: #b42318; --mark: #2f81c9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --faint: #9aa4b2; --paper: #14171a;
  --card: #1d2126; --line: #333a42; --good: #5bc08d; --bad: #f1786b; --mark: #5aa6e8; } }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } .faint, .numbers, summary { color: var(--faint); }
table { border-collapse: collapse; margin: .8rem 0; } div.wide { overflow-x: auto; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; } th { color: var(--faint); font-weight: 500; font-size: .85rem; }
pre, code { font: 13px/1.45 ui-monospace, monospace; unicode-bidi: isolate; }
article { border: 1px solid var(--line); border-left-width: 4px; border-radius: 6px;
  padding: .7rem 1rem; margin: .9rem 0; }
article.right { border-left-color: var(--good); } article.wrong { border-left-color: var(--bad); }
.right b { color: var(--good); } .wrong b { color: var(--bad); }
.asked { border-bottom: 1px dashed var(--line); padding-bottom: .5rem; margin: .4rem 0 .7rem; }
label { cursor: pointer; padding: .1rem .6rem; border: 1px solid var(--line); border-radius: 1rem;
  margin-right: .3rem; display: inline-block; }
input.filter { position: absolute; opacity: 0; }
"""


def page(result: Result, chosen: Sequence[tuple[Sample, list[str]]]) -> str:
    """The document: the score, what decided it, and the chosen samples with their marks."""
    title = f"{result.benchmark}: {len(chosen)} of {len(result.samples)} samples"
    score = result.about.get("score")
    head = [f"<h1>{escape(title)}</h1>", f'<p class="faint">{escape(_about(result))}</p>']
    if score:
        [row] = rows([score])
        cells = "".join(f"<th>{escape(name)}</th>" for name in row)
        values = "".join(f"<td>{escape(value)}</td>" for value in row.values())
        table = f"<table><tr>{cells}</tr><tr>{values}</tr></table>"
        head.append(f'<div class="wide">{table}</div>')
    inputs, labels, rules = zip(*map(_filter, FILTERS), strict=True)
    style = "\n".join((STYLE, text.STYLE, text.code_style(), *rules))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>r1: {escape(title)}</title><style>{style}</style></head><body>\n"
        f"{''.join(head)}\n{''.join(inputs)}<nav>{''.join(labels)}</nav>\n<main>\n"
        + "\n".join(_article(sample, marks) for sample, marks in chosen)
        + "\n</main></body></html>\n"
    )


def _filter(name: str) -> tuple[str, str, str]:
    """A radio button, its label, and the rules that hide what it does not mean."""
    checked = " checked" if name == "all" else ""
    button = f'<input class="filter" type="radio" name="filter" id="only-{name}"{checked}>'
    label = f'<label for="only-{name}">{name}</label>'
    marked = f"#only-{name}:checked ~ nav label[for=only-{name}] {{ background: var(--card); }}"
    hidden = f"#only-{name}:checked ~ main article:not(.{name}) {{ display: none; }}"
    return button, label, marked if name == "all" else f"{marked}\n{hidden}"


def _about(result: Result) -> str:
    spec: dict[str, Any] = result.spec
    known = (("model", result.about.get("model")), ("spec", spec.get("hash")))
    said = [f"{name} {value}" for name, value in known if value]
    return " · ".join([*said, str(result.path), str(result.about.get("citation", ""))])


def _article(sample: Sample, marks: Sequence[str]) -> str:
    asked = sample["prompt"][-1]["content"]
    return (
        f'<article class="{" ".join(marks)}"><div class="numbers">{_numbers(sample, marks)}</div>'
        f'<div class="asked">{text.html(asked)}</div>'
        f"{text.html(sample.get('prefill', '') + sample['completion'])}</article>"
    )


def _numbers(sample: Sample, marks: Sequence[str]) -> str:
    answer = sample.get("answer")
    said = [f"problem {sample['problem']}, sample {sample['sample']}", f"<b>{marks[0]}</b>"]
    said += marks[1:]
    if answer is not None and len(answer) <= 200:
        said.append(f"answer <code>{escape(answer)}</code>")
    if sample.get("gold") is not None and len(str(sample["gold"])) <= 200:
        said.append(f"gold <code>{escape(str(sample['gold']))}</code>")
    said.append(f"{sample['tokens']} tokens")
    if sample["failed"]:
        said.append(f"not judged: {escape(sample['failed'])}")
    return " · ".join(said)
