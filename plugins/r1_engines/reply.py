"""What an OpenAI-compatible server answered, as completions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from r1cli import Completion

BYTES_PER_TOKEN = 4  # where a server counts nothing
CUT = ("length", "max_tokens", "content_filter")
BROKEN = ("abort", "error")  # the server gave up on it: no word about the model


@dataclass(frozen=True)
class Reply:
    """The completions of one request; `estimated` says that their token counts are guesses."""

    completions: list[Completion]
    estimated: bool = False


def read_reply(reply: Any, *, prefill: str = "") -> Reply:
    """The completions in the reply to a chat or text request; ValueError where it is no such one.

    `prefill` is what the server's chat template writes at the start of the answer.
    """
    choices = sorted(reply["choices"], key=lambda choice: choice.get("index", 0))
    if not choices or any(choice.get("finish_reason") in BROKEN for choice in choices):
        raise ValueError("no finished choice")
    texts = [_text(choice) for choice in choices]
    tokens, estimated = _tokens(choices, texts, reply.get("usage"))
    completions = []
    for choice, text, count in zip(choices, texts, tokens, strict=True):
        opened = "" if text.lstrip().startswith(prefill.strip()) else prefill
        truncated = choice.get("finish_reason") in CUT
        completions.append(Completion(text, prefill=opened, tokens=count, truncated=truncated))
    return Reply(completions, estimated)


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


def _tokens(choices: list[Any], texts: list[str], usage: Any) -> tuple[list[int], bool]:
    """The tokens of each choice, and whether they are estimates.

    A server counts all choices together. vLLM may give the tokens of each; else the sum, which is
    right, is shared out by length.
    """
    ids = [choice.get("token_ids") for choice in choices]
    if all(isinstance(found, list) and found for found in ids):
        return [len(found) for found in ids], False
    sizes = [len(text.encode(errors="replace")) for text in texts]
    total = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if not isinstance(total, int):
        return [-(-size // BYTES_PER_TOKEN) for size in sizes], True
    if len(choices) == 1:
        return [total], False
    ends = [round(total * end / max(1, sum(sizes))) for end in accumulate(sizes)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)], True
