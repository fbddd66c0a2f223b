"""`r1 view`: the samples behind a score. Not `r1 eval view`, where `view` would be a benchmark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from r1cli.evaluation.results import Result

SHOWN = 1500
"""Characters of a completion on the terminal; of a longer one, its middle is left out."""

UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")
"""What would move a terminal's cursor, clear it, or turn its letters around; shown as `\\x1b`."""


def view(
    place: Path = typer.Argument(help="A run, a folder of r1 eval, or a file of samples."),
    benchmark: str = typer.Option("", help="Which, where there are several."),
    wrong: bool = typer.Option(False, "--wrong", help="Only wrong ones."),
    right: bool = typer.Option(False, "--right", help="Only right ones."),
    truncated: bool = typer.Option(False, "--truncated", help="Only truncated ones."),
    unparseable: bool = typer.Option(False, "--unparseable", help="Only those without an answer."),
    disagreement: bool = typer.Option(
        False, "--disagreement", help="Only of problems whose samples differ in score."
    ),
    problem: int | None = typer.Option(None, min=0, help="Only this problem."),
    limit: int = typer.Option(0, min=0, help="Samples at most; default 5, 200 with --html."),
    full: bool = typer.Option(False, "--full", help="Whole completions on the terminal."),
    html: Path | None = typer.Option(None, help="Write one HTML file that needs no network."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Look at the samples of an evaluation, filtered, here or as a page."""
    from r1cli import ui
    from r1cli.viewing.choose import choose

    result = _result(place, benchmark)
    flags = {
        "wrong": wrong,
        "right": right,
        "truncated": truncated,
        "unparseable": unparseable,
        "disagreement": disagreement,
    }
    chosen = choose(result.samples, [name for name, on in flags.items() if on], problem=problem)
    shown = chosen[: limit or (200 if html else 5)]
    if json:
        ui.show_json([{**sample, "marks": marks} for sample, marks in shown])
    elif html:
        from r1cli.files import write_atomic
        from r1cli.viewing.page import page

        write_atomic(html, page(result, shown))
        ui.say(f"wrote {len(shown)} of {len(chosen)} samples to {html}")
    else:
        for sample, marks in shown:
            ui.show(_text(sample, marks, full))
        ui.say(f"{len(shown)} of {len(chosen)} chosen samples, {len(result.samples)} in all")


def _result(place: Path, benchmark: str) -> Result:
    from r1cli.errors import UsageError, suggest
    from r1cli.evaluation.results import read_results

    found = read_results(place)
    names = [result.benchmark for result in found]
    chosen = [result for result in found if benchmark in ("", result.benchmark)]
    if not chosen:
        raise UsageError(f"no benchmark {benchmark!r} in {place}; {suggest(benchmark, names)}")
    if len(chosen) > 1:
        raise UsageError(
            f"{place} holds {len(chosen)} results; name one by --benchmark or as a file: "
            f"{', '.join(result.path.name for result in chosen)}"
        )
    return chosen[0]


def _text(sample: dict[str, Any], marks: list[str], full: bool) -> str:
    said = sample["prefill"] + sample["completion"]
    if not full and len(said) > SHOWN:
        half, left = SHOWN // 2, len(said) - SHOWN
        said = f"{said[:half]}\n[... {left:,} characters, see --full ...]\n{said[-half:]}"
    about = [f"problem {sample['problem']}, sample {sample['sample']}", *marks]
    about += [f"answer {sample['answer']}"] if sample.get("answer") else []
    about += [f"gold {sample['gold']}"] if sample.get("gold") is not None else []
    line = " · ".join([*about, f"{sample['tokens']} tokens"])
    text = f"── {line}\n{sample['prompt'][-1]['content']}\n\n{said.rstrip()}\n"
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
