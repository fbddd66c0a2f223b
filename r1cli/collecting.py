"""Attempts at a list of prompts: those of the store, and what it lacks, sampled and stored.

Every completion is stored before anything else is done with it. Asked again, the same question
costs nothing; asked for more samples, only those.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from r1cli.endpoint import Refused
from r1cli.errors import PluginError
from r1cli.models import model_key
from r1cli.plugins import Plugins
from r1cli.problem import problem_hash
from r1cli.records import Attempt, Store, attempt_key, canonical
from r1cli.records.attempt import USAGE, Source
from r1cli.sampling import open_engine, sampler_key
from r1cli.types import Completion, Draw, Drawn, Engine, Prompt, Sampling

BATCH = 64
"""Samples per call of an engine that cannot stream: enough to keep it busy, few enough to lose."""

SEEDS = 2**31
"""Servers differ in how large a seed they take; all take these."""

HOPELESS = 32
"""Prompts in a row of which nothing came, after which it is not the prompts that are wrong."""


@dataclass(frozen=True)
class Ask:
    """Samples wanted of one prompt. `problem` is the hash of the dataset's own prompt."""

    problem: str
    prompt: Prompt
    samples: range


class Sampler:
    """A model as an engine samples it: `key` says what it draws; the engine is opened if needed."""

    def __init__(self, engine: str, model: str, args: Mapping[str, Any], plugins: Plugins) -> None:
        self.engine, self.model_name, self.args = engine, model, dict(args)
        self.plugins = plugins
        self.revision = str(self.args.get("revision") or "")
        self.model = model_key(model, self.revision or None)
        self.key = sampler_key(engine, model, self.args, plugins)

    def open(self) -> Engine:
        """The engine; enter it to load."""
        return open_engine(self.engine, self.model_name, self.args, self.plugins)

    def key_of(self, prompt: Prompt, sampling: Sampling) -> str:
        """The key under which the store has the attempts at a prompt."""
        return attempt_key(problem_hash(prompt), self.key, sampling)


def wanted(sampling: Sampling) -> int:
    """How many samples of a prompt make sense: greedy ones are all the same."""
    return 1 if sampling.temperature == 0 else sampling.n


def collect(
    asks: Iterable[Ask],
    sampler: Sampler,
    sampling: Sampling,
    store: Store,
    source: Source,
    *,
    failed: Callable[[Ask, int, Exception], None],
) -> Iterator[list[tuple[Ask, Attempt]]]:
    """Draw what the store lacks, and yield it as it comes, stored already.

    `asks` is read as there is room for more, so it may be long. `failed` is told of each sample
    that came to nothing; the others go on. An error that is raised ends all: the endpoint was gone
    for too long, or `HOPELESS` prompts in a row came to nothing. Prompts that the endpoint refuses
    do so only where it has answered none: those that are left of an earlier run are often all bad.
    """
    asked: dict[int, tuple[Ask, int]] = {}
    failing: set[str] = set()  # the prompts in a row
    answered, hopeless = False, None

    def lack() -> Iterator[tuple[Ask, int]]:
        nonlocal answered
        for ask in asks:
            missing = store.missing(sampler.key_of(ask.prompt, sampling), ask.samples)
            answered |= len(missing) < len(ask.samples)
            for number in missing:
                yield ask, number

    lacking = lack()
    first = next(lacking, None)
    if first is None:
        return

    def draws() -> Iterator[Draw]:
        for position, (ask, number) in enumerate(chain([first], lacking)):
            asked[position] = ask, number
            yield Draw(ask.prompt, seed_of(sampling.seed, problem_hash(ask.prompt), number))

    with sampler.open() as engine:
        for batch in stream(engine, draws(), sampling):
            found: list[tuple[Ask, Attempt]] = []
            for drawn in batch:
                ask, number = asked.pop(drawn.position)
                if drawn.completion is not None:
                    found.append((ask, _attempt(ask, number, drawn, sampler, sampling, source)))
                    failing.clear()
                    answered = True
                    continue
                assert drawn.error is not None
                failed(ask, number, drawn.error)
                failing.add(problem_hash(ask.prompt))
                refused = answered and isinstance(drawn.error, Refused)
                if len(failing) >= HOPELESS and not refused:
                    hopeless = drawn.error
            store.append(attempt for _, attempt in found)
            yield found
            if hopeless:
                raise hopeless


def stream(engine: Engine, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
    """The samples of an engine as they come; of one that cannot stream, batch by batch."""
    own = getattr(engine, "stream", None)
    if own is not None:
        yield from own(draws, replace(sampling, n=1))
        return
    numbered = enumerate(draws)
    while batch := list(islice(numbered, BATCH)):
        # By what is drawn: the same batch is drawn alike again, another one never by its noise.
        seed = seed_of(0, *(str(draw.seed) for _, draw in batch))
        groups = engine.generate(
            [draw.prompt for _, draw in batch], replace(sampling, n=1, seed=seed)
        )
        if [len(group) for group in groups] != [1] * len(batch):
            raise PluginError(
                f"the engine answered {sum(map(bool, groups))} of {len(batch)} prompts with "
                f"{sum(map(len, groups))} completions; it must return a list of one for each"
            )
        yield [Drawn(p, group[0]) for (p, _), group in zip(batch, groups, strict=True)]


def seed_of(seed: int, *parts: Any) -> int:
    """A seed for one part of what `seed` governs, far from those of all others."""
    digest = hashlib.sha256(json.dumps([seed, *parts]).encode()).digest()
    return int.from_bytes(digest[:8], "little") % SEEDS


def _attempt(
    ask: Ask, number: int, drawn: Drawn, sampler: Sampler, sampling: Sampling, source: Source
) -> Attempt:
    completion = drawn.completion
    assert isinstance(completion, Completion)
    return Attempt(
        problem=ask.problem,
        prompt=problem_hash(ask.prompt),
        messages=ask.prompt,
        model=sampler.model,
        model_name=sampler.model_name,
        revision=sampler.revision,
        engine=sampler.engine,
        sampler=sampler.key,
        sampling=canonical(sampling),
        index=number,
        text=str(completion),
        prefill=completion.prefill,
        tokens=completion.tokens,
        finish_reason="length" if completion.truncated else "stop",
        seconds=drawn.seconds,
        usage={name: drawn.usage.get(name) or 0 for name in USAGE},
        source=source,
    )
