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
    """How rows are rendered. Without a tokenizer: the text as it is, its words counted.

    With `answers` a row's `completion` stands behind its `prompt`, as supervised training reads it.
    """

    tokenizer: Any = None
    system_prompt: str | None = None
    template: Mapping[str, Any] = field(default_factory=dict)
    column: str = ""
    answers: bool = False

    def texts(self, rows: Dataset) -> Iterator[list[str]]:
        """The rendered prompts, or where there are answers the conversations, batch by batch."""
        column = self.column or column_of(rows.column_names)
        answered = self.answers and column == "prompt" and "completion" in rows.column_names
        names = [column, "completion"] if answered else [column]
        for batch in rows.select_columns(names).iter(BATCH):
            answers = batch["completion"] if answered else [None] * len(batch[column])
            yield [
                self.text(asked, answer, whole=answered or column == "messages")
                for asked, answer in zip(batch[column], answers, strict=True)
            ]

    def text(self, asked: Any, answer: Any = None, *, whole: bool = False) -> str:
        """What the model sees of a row; "" where nothing is asked.

        A conversation that ends with the assistant's turn is to be continued, unless `whole`.
        """
        if self.tokenizer is None:
            return "\n".join(filter(None, (text_of(asked), text_of(answer))))
        if not asked:
            return ""
        turns = _turns(asked, "user")
        if self.system_prompt and turns[0].get("role") != "system":
            turns = [{"role": "system", "content": self.system_prompt}, *turns]
        if answer:
            turns = [*turns, *_turns(answer, "assistant")]
        if whole and turns[-1].get("role") == "assistant":
            return str(self.tokenizer.apply_chat_template(turns, tokenize=False, **self.template))
        return render(self.tokenizer, turns, **self.template)

    @property
    def unit(self) -> str:
        return "words" if self.tokenizer is None else "tokens"

    def lengths(self, texts: Sequence[str]) -> list[int]:
        if self.tokenizer is None:
            return [len(text.split()) for text in texts]
        ids = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [len(one) for one in ids]


def _turns(value: Any, role: str) -> list[dict[str, Any]]:
    """A text, said by `role`, or messages as they are."""
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if not (isinstance(value, list) and isinstance(value[0], dict)):
        raise UsageError(f"{value!r:.60} is neither text nor a list of messages")
    return value


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
    answers = recipe.trainer.name == "sft"
    return Rendering(tokenizer, recipe.system_prompt, template, column, answers)


def room_for_prompts(recipe: Recipe, context: int | None = None) -> int | None:
    """Tokens a prompt may have: the model's context less what the trainer leaves to answers.

    At most the trainer's `max_length`, beyond which supervised training cuts.
    """
    from r1cli.models import load_config

    model, args = recipe.model, recipe.trainer.args
    if context is None:
        config = load_config(model.name, model.revision, where=recipe.where("model", "name"))
        context = getattr(config.get_text_config(), "max_position_embeddings", None)
        edited = model.edits and model.edits.max_position_embeddings
        context = edited or context
    limits = [limit for limit in (context, args.get("max_length")) if limit is not None]
    return int(min(limits)) - int(args.get("max_completion_length") or 0) if limits else None
