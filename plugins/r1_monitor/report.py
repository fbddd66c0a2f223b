"""`report.html`: how a run, or a whole pipeline, went, on one page that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r1_monitor import curves, samples
from r1_monitor.page import Markup, folded, interval, page, share, table, tag
from r1_monitor.series import Rows, reinforced, reward_names, series
from r1cli import MissingExtra, Run, ui, write_atomic

NAME = "report.html"
_SHOWN_ELSEWHERE = {
    *("scores", "checkpoint_scores", "checkpoint_steps", "benchmark_jobs"),
    *("status", "error"),
}


def write_run(run: Run, error: BaseException | None = None) -> Path:
    """The report of one run, beside its metrics."""
    body = [
        tag("h1", run.recipe.name or run.directory.name),
        _ending(run.state, error),
        *_scores([run]),
        *_times([run]),
        *_stage(run),
    ]
    return _write(run.directory, f"r1: {run.directory.name}", body)


def write_pipeline(runs: Sequence[Run], directory: Path) -> Path:
    """The report of a pipeline: the scores of all stages together, then each stage."""
    body = [
        tag("h1", directory.name),
        tag("p", f"{len(runs)} stages: ", " → ".join(r.directory.name for r in runs), kind="end"),
        *_scores(runs),
        *_times(runs),
    ]
    for run in runs:
        body += [tag("h2", run.directory.name), _ending(run.state, None), *_stage(run)]
    return _write(directory, f"r1: {directory.name}", body)


def _write(directory: Path, title: str, body: Sequence[Markup]) -> Path:
    path = directory / NAME
    write_atomic(path, page(title, *body))
    return path


def _ending(state: dict[str, Any], error: BaseException | None) -> Markup:
    status = str(state.get("status", "unknown"))
    reason = f"{type(error).__name__}: {error}" if error else str(state.get("error") or "")
    reason = reason.removesuffix(": ")
    good = status == "finished"
    said = "" if good or not reason else f": {reason}"
    started = f", started {state['started']}" if "started" in state else ""
    return tag("p", tag("b", status, kind="good" if good else "bad"), said, started, kind="end")


def _scores(runs: Sequence[Run]) -> list[Markup]:
    """Scores with 95 % intervals, and the change since the last stage with the same spec."""
    rows: list[dict[str, Any]] = []
    before: dict[tuple[str, str], float] = {}
    for run in runs:
        for score in run.state.get("scores", []):
            key, mean = (score["benchmark"], score["spec"]), score["mean"]
            row = {
                "stage": run.directory.name,
                "benchmark": score["benchmark"],
                "score": score["label"],
                "% [95 % interval]": ui.with_interval(mean, score["low"], score["high"]),
                "0 to 100 %": interval(score["low"], mean, score["high"]),
            }
            if len(runs) > 1:
                row["change"] = f"{100 * (mean - before[key]):+.1f}" if key in before else ""
            row |= {name: f"{100 * value:.1f}%" for name, value in score["measures"].items()}
            row |= {
                "tokens": f"{score['tokens']:.1f}",
                "truncated": f"{100 * score['truncated']:.1f}%",
                "unparseable": _share(score.get("unparseable")),
                "problems": score["problems"],
                "samples each": score["samples"],
                "spec": tag("span", score["spec"], kind="faint"),
            }
            rows.append(row)
            before[key] = mean
    return [tag("h2", "Scores"), table(rows)] if rows else []


def _share(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:.1f}%"


def _times(runs: Sequence[Run]) -> list[Markup]:
    """Seconds of every phase, with its share of the whole."""
    phases: list[tuple[str, str, float]] = []
    for run in runs:
        state, stage = run.state, run.directory.name
        if "train_seconds" in state:
            phases.append((stage, "training", float(state["train_seconds"])))
        for score in state.get("scores", []):
            what = f"{score['benchmark']} {score['label']}"
            phases.append((stage, what, float(score["seconds"])))
    whole = sum(seconds for _, _, seconds in phases)
    if not whole:
        return []
    rows = [
        {
            "stage": stage,
            "phase": what,
            "seconds": f"{seconds:.1f}",
            "share": share(seconds / whole),
        }
        for stage, what, seconds in phases
    ]
    rows.append({"stage": "", "phase": "together", "seconds": f"{whole:.1f}", "share": ""})
    return [tag("h2", "Time"), table(rows)]


def _stage(run: Run) -> list[Markup]:
    """What a run's own files tell: curves, rewards, samples, recipe, provenance."""
    rows = run.metrics()
    weights = {term.name.split("/")[-1]: term.weight for term in run.recipe.rewards}
    shown = [tag("h3", "Curves"), _curves(rows, weights), *_checkpoints(run.state)]
    if reinforced(rows):
        shown += [tag("h3", "Rewards"), table(_rewards(rows, weights))]
    try:
        found = samples.browser(run.directory / "rollouts")
    except MissingExtra as missing:
        found = [tag("p", f"no samples here: {missing}", kind="faint")]
    if found:
        shown += [tag("h3", "Samples"), *found]
    recipe = run.directory / "recipe.resolved.yaml"
    if recipe.exists():
        shown.append(folded("Resolved recipe", tag("pre", recipe.read_text(encoding="utf-8"))))
    facts = [
        {"what": key, "value": _flat(value)}
        for key, value in run.state.items()
        if key not in _SHOWN_ELSEWHERE
    ]
    return [*shown, folded("Provenance", table(facts))]


def _checkpoints(state: dict[str, Any]) -> list[Markup]:
    """What benchmarks said of each checkpoint, and which of them failed."""
    scores, failures = state.get("checkpoint_scores", []), state.get("benchmark_failures", [])
    rows = [
        {
            "step": score["step"],
            "benchmark": score["benchmark"],
            "score": score["label"],
            "% [95 % interval]": ui.with_interval(score["mean"], score["low"], score["high"]),
            "0 to 100 %": interval(score["low"], score["mean"], score["high"]),
            "truncated": f"{100 * score['truncated']:.1f}%",
        }
        for score in scores
    ]
    shown = [tag("h3", "Checkpoints"), table(rows)] if rows else []
    for failure in failures:
        at = "the final policy" if failure["step"] is None else f"step {failure['step']}"
        said = f"benchmark {failure['benchmark']} failed on {at}: {failure['error']}"
        shown.append(tag("p", said, kind="bad"))
    for job in state.get("benchmark_jobs", []):
        at = "the final policy" if job["step"] is None else f"step {job['step']}"
        said = f"benchmark {job['benchmark']} on {at} was under way as a job"
        shown.append(tag("p", said, kind="faint"))
    return shown


def _flat(value: Any) -> str:
    """A value of run.json on one line, as a person would write it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _curves(rows: Rows, weights: dict[str, float]) -> Markup:
    try:
        drawn = curves.stage_curves(rows, weights)
    except MissingExtra as missing:
        return tag("p", f"no curves here: {missing}", kind="faint")
    if not drawn:
        return tag("p", "no step was logged", kind="faint")
    return tag("div", *map(Markup, drawn), kind="curves")


def _rewards(rows: Rows, weights: dict[str, float]) -> list[dict[str, Any]]:
    """Each reward's mean over the first and the last tenth of the steps."""
    found = []
    for name in [*reward_names(rows), None]:
        key = f"rewards/{name}/mean" if name else "reward"
        values = series(rows, key, key).values
        if not values:
            continue
        tenth = max(1, len(values) // 10)
        first, last = (sum(part) / tenth for part in (values[:tenth], values[-tenth:]))
        weight = weights.get(name, 1.0) if name else None
        found.append(
            {
                "reward": name or "total",
                "weight": "" if weight is None else f"{weight:g}",
                "first tenth": f"{first:.3f}",
                "last tenth": f"{last:.3f}",
                "change of total": f"{(1.0 if weight is None else weight) * (last - first):+.3f}",
            }
        )
    return found
