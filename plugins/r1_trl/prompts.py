"""Dataset rows as the trainer wants them: chat messages, and none longer than the context."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from r1cli import Recipe, UsageError, render

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger("r1cli.prompts")


def as_messages(prompt: Any, system_prompt: str | None) -> list[dict[str, str]]:
    """A prompt as messages: a string becomes the user's; messages keep their own system prompt."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if system_prompt and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system_prompt})
    return messages


def prepare(
    rows: Dataset, recipe: Recipe, tokenizer: Any, *, room: int | None, template: dict[str, Any]
) -> Dataset:
    """Rows with `prompt` as messages, without those longer than `room` tokens, counted aloud."""
    if "prompt" not in rows.column_names:
        raise UsageError(
            f"the dataset has no column 'prompt' but {', '.join(rows.column_names)}; "
            f"rename one with {recipe.where('dataset', 'columns')}: {{prompt: ...}}"
        )
    if tokenizer.chat_template is None:
        raise UsageError(
            f"the tokenizer of {recipe.model.name!r} has no chat template; give one as "
            f"{recipe.where('model', 'chat_template')}, a .jinja file or its text"
        )
    rows = rows.map(lambda row: {"prompt": as_messages(row["prompt"], recipe.system_prompt)})
    if room is None:
        return rows
    before = len(rows)
    # Not `filter`: it hashes its function with all of the tokenizer, which dill may not manage.
    lengths = (_length(tokenizer, prompt, template) for prompt in rows["prompt"])
    rows = rows.select([index for index, length in enumerate(lengths) if length <= room])
    dropped = before - len(rows)
    if not len(rows):
        raise UsageError(
            f"all {before} prompts are longer than the {room} tokens that the context leaves; "
            "lower max_completion_length or take shorter prompts"
        )
    if dropped:
        log.warning("%d of %d prompts are longer than %d tokens: dropped", dropped, before, room)
    return rows


def _length(tokenizer: Any, prompt: Any, template: dict[str, Any]) -> int:
    text = render(tokenizer, prompt, **template)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])
