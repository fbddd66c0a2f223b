"""An engine by its name, what identifies where its completions come from, a prompt as messages."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from r1cli.models import model_key
from r1cli.plugins import Plugins
from r1cli.signature import bind
from r1cli.types import Engine, Message


def open_engine(name: str, model: str, args: dict[str, Any], plugins: Plugins) -> Engine:
    """The engine called `name` for a model directory or hub id; enter it to load."""
    function = plugins["engines"].get(name, "--engine").load()
    bound = bind(function, args, what=f"engine {name!r}", where="--engine-arg", expected=("model",))
    engine: Engine = function(model=model, **bound)
    return engine


def sampler_key(name: str, model: str, args: dict[str, Any], plugins: Plugins) -> str:
    """What identifies where completions come from: the weights, the engine and its arguments.

    An engine's attribute `beside` names the arguments that do not change what is drawn; `version`
    rises when it comes to draw otherwise, and what it drew before counts no more.
    """
    function = plugins["engines"].get(name, "--engine").load()
    beside, version = getattr(function, "beside", ()), getattr(function, "version", None)
    args = {key: value for key, value in args.items() if key not in beside}
    drawn_by = [name, model_key(model, args.get("revision")), args]
    text = json.dumps(drawn_by if version is None else [*drawn_by, version], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def messages(content: str, system_prompt: str | None) -> list[Message]:
    """A user message, after the system prompt if there is one."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": content}]
