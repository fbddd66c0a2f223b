"""The samples of an evaluation judged once more by another scorer, and where the two disagree.

Both see the same completions and golds: what differs is how answers are read and compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from r1cli.errors import ProviderError, UsageError
from r1cli.evaluation.evaluation import CHUNK, Progress, completion_of
from r1cli.evaluation.results import Result, read_results
from r1cli.evaluation.score import Sample, Score
from r1cli.files import write_atomic
from r1cli.lab.compare import compare
from r1cli.plugins import Plugins
from r1cli.scoring import BoundReward, Scorer, bind_reward
from r1cli.signature import parameters
from r1cli.types import Outcome

SHOWN = 60  # characters of a long text in a table


@dataclass(frozen=True)
class CrossCheck:
    """Two scorers on the same samples: means of those that both scored, and every disagreement.

    `unscored` counts the samples that only one of them scored. A row of `disagreements` has
    `problem`, `sample`, `gold`, the `score` and `answer` of each side, and the completion.
    """

    benchmark: str
    by: str
    args: dict[str, Any]
    samples: int
    agree: int
    unscored: int
    ours: float
    theirs: float
    disagreements: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """One row: both means, and on how many samples the two agree."""
        return {
            "benchmark": self.benchmark,
            "ours %": f"{100 * self.ours:.1f}",
            f"{self.by} %": f"{100 * self.theirs:.1f}",
            "samples": self.samples,
            "agree": self.agree,
            "scored by one only": self.unscored,
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row per disagreement; of long texts the end, where the answer is."""
        return [
            {
                "problem": row["problem"],
                "sample": row["sample"],
                "gold": str(row["gold"])[-SHOWN:],
                "ours": row["ours"]["score"],
                "its answer": row["ours"]["answer"],
                self.by: row["theirs"]["score"],
                f"answer by {self.by}": row["theirs"].get("answer"),
                "completion": " ".join(row["completion"].split())[-SHOWN:],
            }
            for row in self.disagreements
        ]


def cross_checker(name: str, benchmark: str, plugins: Plugins) -> BoundReward:
    """The reward called `name` as a second scorer of a benchmark; `name:task` gives its `task`.

    One that takes a task is otherwise given the benchmark's own name. What a reward has to get
    ready it does now, by its attribute `ready`, so that it is known before anything is sampled.
    """
    reward, _, task = name.partition(":")
    takes = "task" in parameters(plugins["rewards"].get(reward, "--cross-check").load())
    args = {"task": task or benchmark} if task or takes else {}
    bound = bind_reward(reward, args, plugins, where="--cross-check")
    others = [column for column in bound.columns.required if column != "solution"]
    if others:
        raise UsageError(
            f"reward {reward!r} wants column {others[0]!r}, so it cannot cross-check: samples "
            "keep no column of their problem but the gold answer"
        )
    ready: Callable[..., None] = getattr(bound.function, "ready", lambda **args: None)
    ready(**bound.args)
    return bound


def samples_of(score: Score, folder: Path) -> Result:
    """The samples that a score was just made of, in the folder of its evaluation."""
    of = [
        result
        for result in read_results(folder)
        if (result.benchmark, result.spec.get("hash")) == (score.benchmark, score.spec)
    ]
    return max(of, key=lambda result: result.path.with_suffix(".json").stat().st_mtime)


def cross_check(
    result: Result, scorer: BoundReward, progress: Progress = lambda done, total: None
) -> CrossCheck:
    """Judge every judged sample again, and keep what came of it beside the samples.

    Raises ProviderError where the other scorer could score none.
    """
    samples = [sample for sample in result.samples if sample["score"] is not None]
    outcomes = _judged(samples, scorer, progress)
    ours = [float(sample["score"]) for sample in samples]
    theirs = [outcome.value for outcome in outcomes]
    found = compare(ours, theirs)
    if not found.both:
        reasons = [o.reason for o in outcomes if o.reason] or ["no gold answer that it can read"]
        raise ProviderError(f"{scorer.name!r} scored no sample of {result.path}: {reasons[0]}")
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if b is not None]
    differing = sorted(i for i in found.changed if theirs[i] is not None)
    checked = CrossCheck(
        benchmark=result.benchmark,
        by=scorer.name,
        args=dict(scorer.args),
        samples=found.both,
        agree=found.both - len(differing),
        unscored=found.only_first,
        ours=fmean(a for a, _ in both),
        theirs=fmean(b for _, b in both),
        disagreements=[_row(samples[i], outcomes[i], scorer) for i in differing],
    )
    beside = result.path.with_name(f"{result.path.stem}-by-{scorer.name.replace('/', '-')}.json")
    text = json.dumps(checked.to_dict(), indent=2, ensure_ascii=False, default=str)
    write_atomic(beside, text + "\n")
    return checked


def _judged(samples: Sequence[Sample], reward: BoundReward, progress: Progress) -> list[Outcome]:
    outcomes: list[Outcome] = []
    left = iter(samples)
    with Scorer([reward]) as scorer:
        while chunk := list(islice(left, CHUNK)):
            completions = [completion_of(sample) for sample in chunk]
            columns = {"solution": [sample["gold"] for sample in chunk]}
            [more] = scorer.score(completions, [s["prompt"] for s in chunk], columns)
            outcomes += more
            progress(len(outcomes), len(samples))
    return outcomes


def _row(sample: Sample, outcome: Outcome, scorer: BoundReward) -> dict[str, Any]:
    read = getattr(scorer.function, "answer", None)
    theirs = {"answer": read(completion_of(sample), **scorer.args)} if read else {}
    return {
        "problem": sample["problem"],
        "sample": sample["sample"],
        "gold": sample["gold"],
        "ours": {"score": sample["score"], "answer": sample.get("answer")},
        "theirs": {"score": outcome.value, **theirs},
        "completion": sample["completion"],
    }
