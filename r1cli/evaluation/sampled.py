"""Completions for an evaluation: those that the attempt store has, then the engine's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

from r1cli.collecting import Ask, Sampler, collect
from r1cli.errors import ProviderError
from r1cli.evaluation.evaluation import Evaluation, Place, Source
from r1cli.evaluation.problems import question
from r1cli.problem import problem_hash
from r1cli.records import Store
from r1cli.types import Completion, Engine, Message


class HeldSampler(Sampler):
    """A sampler whose engine, once loaded, stays so for one benchmark after the other."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._held = ExitStack()
        self._engine: Engine | None = None

    def __enter__(self) -> HeldSampler:
        return self

    def __exit__(self, *exc: object) -> None:
        self._held.close()

    def open(self) -> AbstractContextManager[Engine]:  # type: ignore[override]
        if self._engine is None:
            self._engine = self._held.enter_context(super().open())
        return nullcontext(self._engine)


@dataclass(frozen=True)
class Wanted(Ask):
    """One sample, of all the problems that ask the same: the store has it once."""

    places: Sequence[Place]


def asked(evaluation: Evaluation) -> list[list[Message]]:
    """What the engine is given: a forced prefill is the beginning of the assistant's message."""
    prefill = evaluation.benchmark.prefill
    begun = [{"role": "assistant", "content": prefill}] if prefill else []
    return [[*prompt, *begun] for prompt in evaluation.prompts]


def sampled(evaluation: Evaluation, sampler: Sampler, store: Store) -> Source:
    """The completions of a model, each stored before it is judged.

    Raises ProviderError at the end where some samples came to nothing; the others are kept.
    """
    sampling, prompts = evaluation.benchmark.sampling, asked(evaluation)

    def draw(places: set[Place]) -> Iterator[tuple[Place, Completion]]:
        left: dict[tuple[str, int], list[Place]] = {}
        for problem, number in sorted(places):
            key = sampler.key_of(prompts[problem], sampling)
            left.setdefault((key, number), []).append((problem, number))
        for key in dict.fromkeys(key for key, _ in left):
            for attempt in store.find(key):
                for place in left.pop((key, attempt.index), ()):
                    yield place, attempt.completion
        errors: list[Exception] = []
        asks = (
            Wanted(
                problem_hash(question(evaluation.problems[problem]) or evaluation.prompts[problem]),
                *(prompts[problem], range(number, number + 1), several),
            )
            for several in left.values()
            for problem, number in several[:1]
        )
        for batch in collect(
            *(asks, sampler, sampling, store, "eval"),
            failed=lambda ask, number, error: errors.append(error),
        ):
            for ask, attempt in batch:
                assert isinstance(ask, Wanted)
                for place in ask.places:
                    yield place, attempt.completion
        if errors:
            raise ProviderError(
                f"benchmark {evaluation.name!r}: {len(errors)} of {len(places)} samples came to "
                f"nothing ({errors[0]}); the others are kept, the same command asks again"
            )

    return draw
