"""A row as the model will see it: through the chat template, special tokens and all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1cli.chat import render
from r1cli.data.text import text_column, text_of
from r1cli.errors import UsageError
from r1cli.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 1024  # rows that are tokenized together


@dataclass(frozen=True)
class Rendering:
    """How rows are rendered. Without a tokenizer: the text as it is, its words counted."""

    tokenizer: Any = None
    system_prompt: str | None = None
    template: Mapping[str, Any] = field(default_factory=dict)
    column: str = ""

    def texts(self, rows: Dataset) -> Iterator[list[str]]:
        """The rendered prompts, or for `messages` the conversations, batch by batch."""
        column = self.column or column_of(rows.column_names)
        for batch in rows.select_columns([column]).iter(BATCH):
            yield [self.text(value) for value in batch[column]]

    def text(self, value: Any) -> str:
        if self.tokenizer is None:
            return text_of(value)
        if isinstance(value, str):
            value = [{"role": "user", "content": value}]
        elif not (isinstance(value, list) and value and isinstance(value[0], dict)):
            raise UsageError(f"{value!r:.60} is neither text nor a list of messages")
        if self.system_prompt and value[0].get("role") != "system":
            value = [{"role": "system", "content": self.system_prompt}, *value]
        if value[-1].get("role") == "assistant":
            return str(self.tokenizer.apply_chat_template(value, tokenize=False, **self.template))
        return render(self.tokenizer, value, **self.template)

    @property
    def unit(self) -> str:
        return "words" if self.tokenizer is None else "tokens"

    def lengths(self, texts: Sequence[str]) -> list[int]:
        if self.tokenizer is None:
            return [len(text.split()) for text in texts]
        ids = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [len(one) for one in ids]


def column_of(present: Sequence[str]) -> str:
    """What a trainer reads: `messages`, `prompt`, or else where the problem stands."""
    for name in ("messages", "prompt"):
        if name in present:
            return name
    return text_column(present)


def rendering(recipe: Recipe, column: str = "") -> Rendering:
    """The rendering of a recipe whose model is a directory or hub id."""
    from r1cli.models import load_tokenizer

    model, where = recipe.model, recipe.where("model", "name")
    tokenizer = load_tokenizer(model.name, model.revision, where=where)
    if model.chat_template:
        path = Path(model.chat_template)
        is_file = path.suffix == ".jinja" and path.is_file()
        tokenizer.chat_template = path.read_text("utf-8") if is_file else model.chat_template
    if not tokenizer.chat_template:
        raise UsageError(f"the tokenizer of {model.name!r}, at {where}, has no chat template")
    template = recipe.trainer.args.get("chat_template_kwargs") or {}
    return Rendering(tokenizer, recipe.system_prompt, template, column)


def room_for_prompts(recipe: Recipe, context: int | None = None) -> int | None:
    """Tokens a prompt may have: the model's context less what the trainer leaves to answers."""
    from r1cli.models import load_config

    model, args = recipe.model, recipe.trainer.args
    if context is None:
        config = load_config(model.name, model.revision, where=recipe.where("model", "name"))
        context = getattr(config.get_text_config(), "max_position_embeddings", None)
        edited = model.edits and model.edits.max_position_embeddings
        context = edited or context
    if context is None:
        return None
    return int(context) - int(args.get("max_completion_length") or 0)
