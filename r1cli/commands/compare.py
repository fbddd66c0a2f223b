"""`r1 compare`: is B better than A?"""

from __future__ import annotations

from pathlib import Path

import typer


def compare(
    places: list[Path] = typer.Argument(
        help="Runs, folders of r1 eval, or files of samples; each is compared with the first."
    ),
    flips: int = typer.Option(10, min=0, help="Flipped problems to print."),
    json: bool = typer.Option(False, "--json", help="Print JSON, all flips with both answers."),
) -> None:
    """Compare scores on the same problems: the difference, how sure it is, and what flipped."""
    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.evaluation.compare import compare

    if len(places) < 2:
        raise UsageError("compare needs two places at least, like: r1 compare runs/a runs/b")
    ui.narrate()
    found = compare(places)
    if json:
        ui.show_json([one.to_dict() for one in found])
        return
    rows = []
    for one in found:
        p = one.paired
        rows.append(
            {
                "benchmark": one.benchmark,
                "A %": ui.percent(p.a),
                "B %": ui.percent(p.b),
                "B - A [95 % interval]": ui.with_interval(p.difference, p.low, p.high),
                "p": f"{p.p:.2g}",
                "test": p.test,
                "problems": p.problems,
                "detectable": ui.percent(p.detectable),
                "gained": sum(flip.gained for flip in one.flips),
                "lost": sum(not flip.gained for flip in one.flips),
                "B": str(one.b),
            }
        )
    ui.table(rows, list(rows[0]))
    for one in found:
        if one.paired.settling:
            ui.show(f"{one.benchmark}: not settled; to show it takes {one.paired.settling}")
    shown = [
        {
            "benchmark": one.benchmark,
            "problem": flip.problem,
            "change": "gained" if flip.gained else "lost",
            "gold": flip.a.get("gold"),
            "A": _said(flip.a),
            "B": _said(flip.b),
        }
        for one in found
        for flip in one.flips
    ]
    if shown and flips:
        ui.table(shown[:flips], list(shown[0]), title="flipped")


def _said(sample: dict[str, object]) -> str:
    """The answer, or where none is known the end of what was said."""
    answer = sample.get("answer")
    return str(answer) if answer is not None else "..." + str(sample["completion"])[-60:].strip()
