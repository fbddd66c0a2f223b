"""What an evaluation makes of its samples, as judgements in the attempt store.

There filters and curricula read them. The evaluation itself goes by its own files, whose spec knows
the version of the scorer, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from r1cli.collecting import Sampler
from r1cli.evaluation.evaluation import Evaluation
from r1cli.evaluation.sampled import asked
from r1cli.evaluation.score import Sample
from r1cli.generation.scoring import spec
from r1cli.records import Judgement, Store
from r1cli.records.attempt import text_hash
from r1cli.types import Outcome


def judged(
    evaluation: Evaluation, sampler: Sampler, store: Store
) -> Callable[[Sequence[Sample]], None]:
    """A function that stores what was said of samples, where the store does not say the same.

    Samples whose attempt is not there are passed over: `r1 records gc` may have dropped it, and
    somebody drawn another one since.
    """
    prompts, rewards = asked(evaluation), [evaluation.scorer, *evaluation.measures]

    def keep(samples: Sequence[Sample]) -> None:
        groups: defaultdict[int, list[Sample]] = defaultdict(list)
        for sample in samples:
            groups[sample["problem"]].append(sample)
        new: list[Judgement] = []
        for problem, group in groups.items():
            key = sampler.key_of(prompts[problem], evaluation.benchmark.sampling)
            attempts = {attempt.index: attempt for attempt in store.find(key)}
            specs = {r.name: spec(r, evaluation.problems[problem]) for r in rewards}
            for sample in group:
                attempt = attempts.get(sample["sample"])
                text = sample["prefill"] + sample["completion"]
                if attempt is None or text_hash(attempt.text) != text_hash(text):
                    continue
                new += [
                    Judgement.of(attempt, name, specs[name], outcome)
                    for name, outcome in _outcomes(sample, evaluation.scorer.name).items()
                    if attempt.outcome(name, specs[name]) != outcome
                ]
        if new:
            store.judge(new)

    return keep


def _outcomes(sample: Sample, scorer: str) -> dict[str, Outcome]:
    """By reward. A measure without a value does not say why, so it is left out."""
    found = {
        name: Outcome("score", value)
        for name, value in sample["measures"].items()
        if value is not None
    }
    if sample["failed"]:
        found[scorer] = Outcome("failed", reason=sample["failed"])
    elif sample["score"] is None:
        found[scorer] = Outcome("not_applicable")
    else:
        found[scorer] = Outcome("score", sample["score"])
    return found
