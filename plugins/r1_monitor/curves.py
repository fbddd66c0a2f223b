"""Curves over steps as inline SVG that takes its text colour from the page, light or dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

from r1_monitor.series import Rows, Series, outcomes, reinforced, reward_names, series
from r1cli import require

# matplotlib has no "currentColor": this stands for it until the SVG is text.
_INK = "#010203"
_COLOURS = ("#2f81c9", "#d9822b", "#2f9e6e", "#b5569c", "#8a79d6", "#c2534d")


def stage_curves(rows: Rows, weights: dict[str, float]) -> list[str]:
    """A stage's curves, and for reinforcement what each reward adds to the total.

    Raises MissingExtra without matplotlib.
    """
    require("train", "matplotlib")
    found = [plot(one.label, [one]) for one in outcomes(rows)]
    if reinforced(rows):
        found.append(plot("reward decomposition (weight times mean)", decomposition(rows, weights)))
    return found


def decomposition(rows: Rows, weights: dict[str, float]) -> list[Series]:
    """Each reward's mean times its weight, and the total, over steps."""
    parts = []
    for name in reward_names(rows):
        weight = weights.get(name, 1.0)
        label, steps, values = series(rows, f"rewards/{name}/mean", name)
        parts.append(Series(f"{weight:g} {label}", steps, [weight * value for value in values]))
    return [part for part in [*parts, series(rows, "reward", "total")] if part.steps]


def plot(title: str, curves: Sequence[Series]) -> str:
    """One chart: what was measured, faint, under its moving average."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    style: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": _INK,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with rc_context(style):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained")
        axes = figure.add_subplot()
        for curve, colour in zip(curves, _COLOURS * len(curves), strict=False):
            # One point makes no line.
            dot = "o" if len(curve.steps) == 1 else None
            axes.plot(curve.steps, curve.values, color=colour, alpha=0.35, linewidth=0.8)
            axes.plot(
                curve.steps,
                curve.smooth(),
                color=colour,
                linewidth=1.8,
                marker=dot,
                label=curve.label,
            )
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=_INK, alpha=0.12, linewidth=0.6)
        if len(curves) > 1:
            axes.legend(frameon=False, fontsize=8)
        drawn = StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return _inline(drawn.getvalue(), title)


def _inline(svg: str, title: str) -> str:
    """The SVG element alone, without matplotlib's licence block and page-wide ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    return svg.replace(_INK, "currentColor").strip()
