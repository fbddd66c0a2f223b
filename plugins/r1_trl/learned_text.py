"""What of its rows supervised training learns: nothing is lost on the way without a word."""

from __future__ import annotations

import logging
import reprlib
from typing import TYPE_CHECKING, Any

from r1cli import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger("r1cli.sft")

LOOKED_AT = 1024
"""Texts whose length is read. They are shuffled, unless a curriculum orders them."""
RENDERED = 16


def say_learned(trainer: Any, rows: Dataset, recipe: Recipe) -> None:
    """Log what `max_length` cuts, what the chat template drops, and where the loss is."""
    _say_cut(trainer, len(rows), recipe)
    _say_dropped(trainer, rows, recipe)
    if "messages" in rows.column_names and not trainer.args.assistant_only_loss:
        log.info(
            "the loss is on every token of the conversations; for the assistant's turns alone: "
            "trainer.args.assistant_only_loss: true"
        )


def _say_cut(trainer: Any, count: int, recipe: Recipe) -> None:
    args, texts = trainer.args, trainer.train_dataset
    if args.max_length is None or (args.packing and args.packing_strategy != "bfd"):
        return  # the other strategies go on with the rest of a text in the next row
    said = f"{recipe.where('trainer', 'args', 'max_length')} = {args.max_length} tokens"
    if not args.packing and len(texts) < count:
        gone = count - len(texts)
        log.warning("%d of %d rows are dropped: %s leave no answer of them", gone, count, said)
    first = texts.select(range(min(LOOKED_AT, len(texts))))
    if args.packing:
        lengths = [length for row in first["seq_lengths"] for length in row]
    else:
        lengths = [len(ids) for ids in first["input_ids"]]
    full = sum(length >= args.max_length for length in lengths)
    if full:
        log.warning(
            "%d of %d texts looked at fill %s; what they have beyond, their end too, is cut off",
            *(full, len(lengths), said),
        )


def _say_dropped(trainer: Any, rows: Dataset, recipe: Recipe) -> None:
    """Templates made for chatting leave the reasoning of an answer out, as DeepSeek-R1's does."""
    tokenizer, lost = trainer.processing_class, []
    for row in rows.select(range(min(RENDERED, len(rows)))):
        turns = row["messages"] if "messages" in row else [*row["prompt"], *row["completion"]]
        text = tokenizer.apply_chat_template(
            turns, tokenize=False, chat_template=trainer.chat_template
        )
        answer = turns[-1]["content"] if turns[-1]["role"] == "assistant" else None
        if isinstance(answer, str) and "".join(answer.split()) not in "".join(text.split()):
            lost.append(answer)
    if lost:
        log.warning(
            "the chat template drops a part of %d of %d answers, so it is not learned; the first: "
            "%s; give another as %s",
            *(len(lost), min(RENDERED, len(rows)), reprlib.repr(lost[0])),
            recipe.where("model", "chat_template"),
        )
