"""The two steps of the pipeline; only its own processes import this, for it imports distilabel.

Its annotations are not postponed: distilabel reads that of `process`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from distilabel.steps import GeneratorStep, Step, StepInput
from pydantic import Field, SecretStr

from r1_engines.openai import OpenAI, openai
from r1cli import Draw, Drawn, ProviderError, R1Error, Sampling


@dataclass(frozen=True)
class Shared:
    """A queue of other processes or nodes. It stays the same where distilabel copies a step."""

    queue: Any

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shared":
        return self


class Draws(GeneratorStep):
    """Batches of draws from a queue, up to a None in it."""

    batches: Shared = Field(exclude=True)

    @property
    def outputs(self) -> list[str]:
        return ["position", "prompt", "seed"]

    def process(self, offset: int = 0) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        batch = self.batches.queue.get()
        while batch is not None:
            following = self.batches.queue.get()
            yield batch, following is None
            batch = following


class Ask(Step):
    """Engine `openai` on each batch. What it draws goes to a queue at once."""

    asking: dict[str, Any]
    sampling: dict[str, Any]
    key: SecretStr  # a node of a cluster has another environment
    results: Shared = Field(exclude=True)
    _engine: OpenAI | None = None
    _ended: bool = False

    @property
    def inputs(self) -> list[str]:
        return ["position", "prompt", "seed"]

    @property
    def outputs(self) -> list[str]:
        return ["position"]

    def load(self) -> None:
        super().load()
        if key := self.key.get_secret_value():
            os.environ[self.asking["api_key_env"]] = key
        try:
            self._engine = openai(**self.asking).__enter__()
        except R1Error as error:
            self._end(error)

    def unload(self) -> None:
        super().unload()
        if self._engine:
            self._engine.__exit__()

    def process(self, inputs: StepInput) -> Iterator[list[dict[str, Any]]]:
        if not self._ended:
            self._draw(inputs)
        yield [{"position": row["position"]} for row in inputs]

    def _draw(self, inputs: list[dict[str, Any]]) -> None:
        assert self._engine
        draws = [Draw(row["prompt"], row["seed"]) for row in inputs]
        places = [row["position"] for row in inputs]
        try:
            for several in self._engine.stream(draws, Sampling(**self.sampling)):
                self.results.queue.put(
                    ("drawn", [_moved(one, places[one.position]) for one in several])
                )
        except R1Error as error:
            self._end(error)

    def _end(self, error: R1Error) -> None:
        """What ends one batch ends all: who reads the results stops the pipeline."""
        self._ended = True
        self.results.queue.put(("ended", str(error)))


def _moved(drawn: Drawn, position: int) -> Drawn:
    """At its place among all draws, with an error that can be sent."""
    error = ProviderError(str(drawn.error)) if drawn.error else None
    return replace(drawn, position=position, error=error)
