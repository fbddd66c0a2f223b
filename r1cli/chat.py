"""What a chat template writes into the model's turn before the model does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from r1cli.types import Message, Prompt

TAG = "<think>"


def render(tokenizer: Any, prompt: Prompt, **template: Any) -> str:
    """The text that the model continues: messages through the chat template, a string as it is."""
    if isinstance(prompt, str):
        return prompt
    text: str = tokenizer.apply_chat_template(
        prompt, tokenize=False, add_generation_prompt=True, **template
    )
    return text


def prefill(tokenizer: Any, prompt: Prompt, **template: Any) -> str:
    """The reasoning tags that the rendered prompt already opens in the model's turn, or "".

    DeepSeek-R1-Distill and Qwen3-Thinking end their generation prompt in `<think>`; a reward that
    looks only at what was sampled would miss the tag for every completion.
    """
    if isinstance(prompt, str):
        return ""
    turn = _turn(render(tokenizer, prompt, **template), prompt)
    return turn[turn.index(TAG) :] if TAG in turn else ""


def _turn(text: str, prompt: Sequence[Message]) -> str:
    """The rendered text after the last message's own content."""
    content = prompt[-1]["content"].strip()
    return text[text.rindex(content) + len(content) :] if content and content in text else ""
