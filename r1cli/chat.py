"""What a chat template writes into the model's turn before the model does."""

from __future__ import annotations

from typing import Any

from r1cli.types import Prompt

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
    opened = render(tokenizer, prompt, **template)
    closed: str = tokenizer.apply_chat_template(
        prompt, tokenize=False, add_generation_prompt=False, **template
    )
    if closed != opened and opened.startswith(closed):
        turn = opened[len(closed) :]
    else:  # a template that opens the turn unasked: what follows the last message
        content = prompt[-1]["content"].strip()
        turn = opened[opened.rindex(content) + len(content) :] if content in opened else ""
    return turn[turn.index(TAG) :] if TAG in turn else ""
