"""A prompt and a sampling as the body of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from r1cli import Prompt, Sampling, UsageError

OURS = ("model", "messages", "prompt", "n", "stream")
"""What the engine itself says in a body, and `extra` may not."""

STRIDE = 1_000_003  # between the seeds of neighbours, for those of batches are consecutive
SEEDS = 2**31  # servers differ in how large a seed they take; all take these
CONTINUES = "continue_final_message"
LIMITS = ("max_tokens", "max_completion_tokens")

FILL_IN = ("vllm", "sglang")
"""Servers that take the checkpoint's own sampling defaults for what a request leaves out."""
NEUTRAL = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""What they are told instead: only what `Sampling` says decides."""


def seed_of(seed: int, index: int, number: int) -> int:
    """The seed of sample `number` of prompt `index`: no two of a batch are drawn by one noise."""
    return (seed + index * STRIDE + number) % SEEDS


def forced(prompt: Prompt) -> str:
    """What the answer is made to begin with: a last message that is the assistant's, or ""."""
    last = {} if isinstance(prompt, str) or not prompt else prompt[-1]
    return last["content"] if last.get("role") == "assistant" else ""


@dataclass
class Wording:
    """How requests are worded. `extra` is laid over each: a None in it takes a field away."""

    model: str
    chat: bool
    extra: dict[str, Any]
    server: str = ""  # its maker, where it is known

    def __post_init__(self) -> None:
        taken = [name for name in self.extra if name in OURS]
        if taken:
            raise UsageError(f"extra_body may not say {taken[0]!r}: the engine does")
        if self.extra.get("seed") is not None:
            raise UsageError("extra_body may not say 'seed': samples would be equal; give --seed")

    def body(self, prompt: Prompt, sampling: Sampling) -> tuple[str, dict[str, Any]]:
        """The path of the request, and all of its body but the seed.

        Raises UsageError for an answer that is begun already: most servers answer it anew, and
        others put it to a chat template which may rewrite it.
        """
        if self.chat and forced(prompt) and not self.extra.get(CONTINUES):
            raise UsageError(
                f"a server at a url cannot be made to begin answers with {forced(prompt)!r}; have "
                "engine vllm or transformers load the model, or, where vLLM or SGLang serves one "
                "whose chat template keeps the text as it is, say so: --engine openai "
                f"--engine-arg 'extra_body={{{CONTINUES}: true, add_generation_prompt: false}}'"
            )
        given: dict[str, Any]
        if self.chat and not isinstance(prompt, str):
            path, given = "chat/completions", {"messages": prompt}
        else:
            text = prompt if isinstance(prompt, str) else "\n\n".join(m["content"] for m in prompt)
            path, given = "completions", {"prompt": text}
        return path, {
            "model": self.model,
            **given,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            **(NEUTRAL if self.server in FILL_IN else {}),
            **({"top_k": sampling.top_k} if sampling.top_k else {}),
            **self.extra,
        }

    def drawing(self, fields: dict[str, Any], seed: int) -> dict[str, Any]:
        """The body of a request for one sample, as it is sent."""
        whole = {"seed": seed, **fields}
        return {name: value for name, value in whole.items() if value is not None}

    def shortest(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The same for one token."""
        limits = {name: 1 for name in LIMITS if fields.get(name)}
        return self.drawing({**fields, **limits}, 0)
