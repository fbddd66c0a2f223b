"""What stands in the model's turn before the model writes: the template's own, and what is forced.

A prompt that ends in a message of the assistant is to be continued. Templates rewrite such a
message (Qwen3's drops reasoning from it, or adds an empty one), so it is not given to them: it
stands behind the turn that they open, less what they have opened by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from r1cli.errors import UsageError, one_line
from r1cli.types import Message, Prompt

TAG = "<think>"


def render(tokenizer: Any, prompt: Prompt, **template: Any) -> str:
    """The text that the model continues: messages through the chat template, a string as it is.

    Raises UsageError where the model has no template, or it fails.
    """
    if isinstance(prompt, str):
        return prompt
    asked, forced = continued(prompt)
    text = _written(tokenizer, asked, template, turn=True)
    if forced:
        text += _lacking(_opened(tokenizer, asked, **template), forced)
    return text


def prefill(tokenizer: Any, prompt: Prompt, **template: Any) -> str:
    """What the answer to the rendered prompt already begins with: forced, or reasoning tags, or "".

    DeepSeek-R1-Distill and Qwen3-Thinking end their generation prompt in `<think>`; a reward that
    looks only at what was sampled would miss the tag for every completion.
    """
    if isinstance(prompt, str):
        return ""
    asked, forced = continued(prompt)
    opened = _opened(tokenizer, asked, **template)
    return opened + _lacking(opened, forced)


def continued(prompt: list[Message]) -> tuple[list[Message], str]:
    """A conversation as what is asked, and what the answer is made to begin with, "" or more."""
    if prompt and prompt[-1]["role"] == "assistant":
        return prompt[:-1], prompt[-1]["content"]
    return prompt, ""


def _written(
    tokenizer: Any, messages: list[Message], template: Mapping[str, Any], *, turn: bool
) -> str:
    """What the chat template makes of messages, with the model's turn opened or not."""
    try:
        text: str = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=turn, **template
        )
    except Exception as error:  # a template may do anything
        name = getattr(tokenizer, "name_or_path", "") or "the model"
        if not getattr(tokenizer, "chat_template", True):
            raise UsageError(
                f"{name} has no chat template, which messages need: "
                "put a chat_template.jinja beside its weights"
            ) from error
        raise UsageError(f"the chat template of {name} fails: {one_line(error)}") from error
    return text


def _lacking(opened: str, forced: str) -> str:
    """The part of `forced` that a template which has `opened` the answer has not written."""
    if opened.rstrip() == forced.rstrip():
        return ""
    begun = next((b for b in (opened, opened.rstrip()) if forced.startswith(b)), "")
    return forced[len(begun) :]


def _opened(tokenizer: Any, prompt: list[Message], **template: Any) -> str:
    """The reasoning tags that the template writes into the model's turn, or ""."""
    opened = render(tokenizer, prompt, **template)
    closed = _written(tokenizer, prompt, template, turn=False)
    if closed != opened and opened.startswith(closed):
        turn = opened[len(closed) :]
    else:  # a template that opens the turn unasked: what follows the last message
        content = prompt[-1]["content"].strip()
        turn = opened[opened.rindex(content) + len(content) :] if content in opened else ""
    return turn[turn.index(TAG) :] if TAG in turn else ""
