"""Chat template and end-of-sequence token must agree, or the model never learns to stop.

The most frequent failure of distilled models: the template closes a turn with one token, the
tokenizer's EOS is another, so generation runs on to its limit.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from r1cli import UsageError

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger("r1cli.endings")

PROBE = "r1probe"


def align_endings(model: Any, tokenizer: Any, where: str) -> None:
    """Make the EOS of tokenizer and model the token with which the template ends a turn.

    Raises UsageError where the template ends a turn with nothing that is one token.
    """
    if tokenizer.chat_template is None:
        raise UsageError(f"the tokenizer has no chat template; give one at {where}")
    turn = [{"role": "user", "content": "x"}, {"role": "assistant", "content": PROBE}]
    text = tokenizer.apply_chat_template(turn, tokenize=False)
    ending = text[text.rindex(PROBE) + len(PROBE) :].strip()
    ids = tokenizer(ending, add_special_tokens=False)["input_ids"] if ending else []
    if not ids:
        raise UsageError(
            f"the chat template ({where}) ends the assistant's turn with no token; "
            f"close it with {tokenizer.eos_token!r}"
        )
    if ids[0] != tokenizer.eos_token_id:
        token = tokenizer.convert_ids_to_tokens(ids[0])
        if len(ids) > 1 and ids[0] not in tokenizer.all_special_ids:
            raise UsageError(
                f"the chat template ({where}) ends a turn with {ending!r}, which is no single "
                f"special token; end it with {tokenizer.eos_token!r}"
            )
        log.warning("EOS was %r, turns end with %r: using that", tokenizer.eos_token, token)
        tokenizer.eos_token = token
    model.config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id


def stop_rate(
    model: Any, tokenizer: Any, rows: Dataset, *, seed: int, count: int = 16, limit: int = 512
) -> tuple[float, int]:
    """The share of greedy answers to training prompts that end by themselves, and how many."""
    import torch

    prompts = [_prompt(row) for row in rows.select(range(min(count, len(rows))))]
    texts = [
        tokenizer.apply_chat_template(p, tokenize=False, add_generation_prompt=True)
        for p in prompts
    ]
    batch = tokenizer(
        texts, return_tensors="pt", padding=True, add_special_tokens=False, padding_side="left"
    ).to(model.device)
    context = getattr(model.config, "max_position_embeddings", None) or limit * 2
    room = max(1, min(limit, context - batch["input_ids"].shape[1]))
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        out = model.generate(
            **batch,
            max_new_tokens=room,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    model.train(was_training)
    new = out[:, batch["input_ids"].shape[1] :]
    stopped = (new == tokenizer.eos_token_id).any(dim=1).float().mean().item()
    return stopped, len(texts)


def _prompt(row: dict[str, Any]) -> list[dict[str, str]]:
    """The messages before the assistant's first turn."""
    if "prompt" in row:
        return row["prompt"]
    turns = row["messages"]
    roles = [message["role"] for message in turns]
    return turns[: roles.index("assistant")] if "assistant" in roles else turns
