"""`lighteval:<task>`: a task of LightEval as a benchmark, sampled here and scored there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from r1_benchmarks.lighteval import VERSION
from r1_benchmarks.lighteval.session import session
from r1cli import Benchmark, ProviderError, Sampling, UsageError, ensure_reachable


def lighteval(task: str) -> Benchmark:
    """The benchmark `lighteval:<task>`; LightEval is asked for it when its problems are loaded."""
    if not task:
        raise UsageError("benchmark 'lighteval' needs a task: lighteval:aime24, say")
    return Benchmark(
        dataset="lighteval",
        args={"task": task},
        prepare=asked,
        prepare_args={"task": task},
        columns={name: (name,) for name in ("asked", "solution", "doc")},
        prompt="{asked}",
        scorer="lighteval",
        scorer_args={"task": task, "version": VERSION},
        # As open-r1 ran LightEval; its tasks of reasoning draw one answer each.
        sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=32768),
        citation=f"LightEval {VERSION}, task {task}|0: its problems, prompt and metric; "
        "sampling: DeepSeek-R1, arXiv:2501.12948",
    )


def rows(*, task: str) -> list[dict[str, Any]]:
    """The rows of the task's own data set, which LightEval loads from the hub or its cache."""
    opened = session(VERSION)
    opened.ask(task=task)
    try:
        ensure_reachable(f"the data of LightEval's task {task!r}", "give a copy: --data FILE")
    except ProviderError as unreachable:
        try:
            return list(opened.ask(rows=task, offline=True))
        except ProviderError:
            raise unreachable from None
    return list(opened.ask(rows=task, offline=False))


def asked(rows: Iterable[Mapping[str, Any]], *, task: str) -> list[dict[str, Any]]:
    """The rows with what the task makes of them: `asked`, the gold `solution`, `doc` to score by.

    Rows that the task passes over are left out. Where it shuffles choices it does so as in a run of
    this task alone.
    """
    given = [dict(row) for row in rows]
    made = session(VERSION).ask(docs=task, rows=given)
    return [{**given[one["row"]], **one} for one in made]
