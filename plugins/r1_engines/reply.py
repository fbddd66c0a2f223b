"""What an OpenAI-compatible server answered, as a completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from r1cli import Completion

BYTES_PER_TOKEN = 4  # where a server counts nothing
MOST = 2**31  # tokens: what says more does not count
COUNTS = ("prompt_tokens", "completion_tokens")
CUT = ("length", "max_tokens", "model_length", "time_limit", "content_filter")
BROKEN = ("abort", "cancelled", "error", "insufficient_system_resource")
"""How a server says that it gave up on an answer, which is no word about the model. The last one is
DeepSeek's; `model_length` is Mistral's, `time_limit` watsonx's."""


@dataclass(frozen=True)
class Reply:
    """The completion of one request; where `usage` is empty its tokens are an estimate."""

    completion: Completion
    usage: dict[str, int]


def read_reply(reply: Any, *, prefill: str = "") -> Reply:
    """The completion in the reply to a chat or text request; ValueError where it is no such one.

    `prefill` is what the server's chat template writes at the start of the answer.
    """
    choice = reply["choices"][0]
    if choice.get("finish_reason") in BROKEN:
        raise ValueError("no finished choice")
    text, usage = _text(choice), _usage(reply.get("usage"))
    estimate = -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)
    completion = Completion(
        text,
        prefill="" if text.lstrip().startswith(prefill.strip()) else prefill,
        tokens=usage.get("completion_tokens", estimate),
        truncated=choice.get("finish_reason") in CUT,
    )
    return Reply(completion, usage)


def _text(choice: dict[str, Any]) -> str:
    """The whole text; what a reasoning parser took out of it is put back between its tags."""
    if "message" not in choice:
        return _string(choice["text"])
    message = choice["message"]
    content = _string(message.get("content") or "")
    reasoning = _string(message.get("reasoning_content") or message.get("reasoning") or "")
    if not reasoning:
        return content
    unfinished = not content and choice.get("finish_reason") in CUT
    return f"<think>{reasoning}" + ("" if unfinished else f"</think>{content}")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _usage(usage: Any) -> dict[str, int]:
    """The server's counts; empty where it does not count what was sampled."""
    known = usage if isinstance(usage, dict) else {}
    counts = {name: known[name] for name in COUNTS if _is_count(known.get(name))}
    return counts if "completion_tokens" in counts else {}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < MOST
