"""Sampling a list of prompts in fixed batches, so that a stop and a restart change nothing.

Each batch is seeded by its place in the list: a batch that was cut short is drawn again whole and
gives the same completions as if nothing had happened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from r1cli.errors import PluginError
from r1cli.models import model_key
from r1cli.plugins import Plugins
from r1cli.signature import bind
from r1cli.types import Completion, Engine, Message, Prompt, Sampling

BATCH = 64
"""Prompts per engine call: large enough to keep an engine busy, small enough to lose little."""


def open_engine(name: str, model: str, args: dict[str, Any], plugins: Plugins) -> Engine:
    """The engine called `name` for a model directory or hub id; enter it to load."""
    function = plugins["engines"].get(name, "--engine").load()
    bound = bind(function, args, what=f"engine {name!r}", where="--engine-arg", expected=("model",))
    engine: Engine = function(model=model, **bound)
    return engine


def sampler_key(name: str, model: str, args: dict[str, Any], plugins: Plugins) -> str:
    """What identifies where completions come from: the weights, the engine and its arguments.

    An engine's attribute `beside` names the arguments that do not change what is drawn.
    """
    beside = getattr(plugins["engines"].get(name, "--engine").load(), "beside", ())
    args = {key: value for key, value in args.items() if key not in beside}
    text = json.dumps([name, model_key(model, args.get("revision")), args], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def sample(
    engine: Engine,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    done: Collection[int] = (),
) -> Iterator[tuple[int, list[Completion]]]:
    """The index of each prompt that is not yet `done`, with its completions, batch by batch."""
    for start in range(0, len(prompts), BATCH):
        indices = range(start, min(start + BATCH, len(prompts)))
        if all(index in done for index in indices):
            continue
        seeded = replace(sampling, seed=sampling.seed * 1_000_003 + start // BATCH)
        batch = engine.generate([prompts[index] for index in indices], seeded)
        if len(batch) != len(indices) or not all(batch):
            raise PluginError(
                f"the engine answered {sum(map(bool, batch))} of {len(indices)} prompts; it must "
                "return a list of one or more completions for each"
            )
        for index, completions in zip(indices, batch, strict=True):
            if index not in done:
                yield index, completions


def messages(content: str, system_prompt: str | None) -> list[Message]:
    """A user message, after the system prompt if there is one."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": content}]
