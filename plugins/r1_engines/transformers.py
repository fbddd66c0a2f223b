"""Completions by `model.generate`: slow, but everywhere, and exactly the model's own numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

from r1cli import (
    Completion,
    Prompt,
    Sampling,
    load_model,
    load_tokenizer,
    prefill,
    render,
    require,
)

log = logging.getLogger("r1cli.engine")


def transformers(
    *,
    model: str,
    revision: str | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    batch_size: int = 64,
    device: str = "auto",
    chat_template_kwargs: dict[str, Any] | None = None,
) -> Transformers:
    """An engine on transformers. `batch_size` counts completions; device `auto` prefers a GPU.

    `chat_template_kwargs` go to the chat template: enable_thinking, say.
    """
    template = chat_template_kwargs or {}
    return Transformers(model, revision, dtype, batch_size, device, template)


class Transformers:
    """Loads on entering. Prompts are sorted by length, so that little is padded."""

    def __init__(
        self,
        model: str,
        revision: str | None,
        dtype: str,
        batch_size: int,
        device: str,
        template: dict[str, Any],
    ) -> None:
        self.template = template
        self.name, self.revision, self.dtype = model, revision, dtype
        self.batch_size, self.device = batch_size, device
        self.model: Any = None
        self.tokenizer: Any = None
        self.ends: list[int] = []

    def __enter__(self) -> Transformers:
        require("eval", "torch", "transformers")
        import torch
        from transformers import GenerationConfig
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        cuda = torch.cuda.is_available()
        device = self.device if self.device != "auto" else "cuda" if cuda else "cpu"
        dtype = "float32" if self.dtype == "auto" and not cuda else self.dtype
        self.tokenizer = load_tokenizer(self.name, self.revision)
        self.model = load_model(self.name, self.revision, dtype=dtype)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.ends = _ends(self.model, self.tokenizer)
        # Only what `Sampling` says decides: a checkpoint's own defaults (a repetition penalty, say)
        # would change scores without a word.
        self.model.generation_config = GenerationConfig(
            eos_token_id=self.ends, pad_token_id=self.tokenizer.pad_token_id
        )
        self.model.to(device).eval()
        return self

    def __exit__(self, *exc: object) -> None:
        self.model = self.tokenizer = None

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.n` completions per prompt (one where greedy), in the prompts' order.

        A prompt that fills the model's context gets empty, truncated completions, counted aloud.
        """
        import torch

        n = 1 if sampling.temperature == 0 else sampling.n
        texts = [render(self.tokenizer, prompt, **self.template) for prompt in prompts]
        ids = [self.tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
        fitting = [p for p in range(len(prompts)) if self._room(len(ids[p]), sampling) > 0]
        if len(fitting) < len(prompts):
            log.warning(
                "%d of %d prompts fill the context of %d tokens: their completions are empty",
                *(len(prompts) - len(fitting), len(prompts), self.context),
            )
        drawn: list[list[list[int]]] = [[] for _ in prompts]
        order = sorted((len(ids[p]), p, s) for p in fitting for s in range(n))
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(sampling.seed)
            for start in range(0, len(order), self.batch_size):
                chosen = [p for _, p, _ in order[start : start + self.batch_size]]
                rows = self._draw([ids[p] for p in chosen], sampling)
                for p, tokens in zip(chosen, rows, strict=True):
                    drawn[p].append(tokens)
        return [
            self._completions(prompt, rows or [[]] * n)
            for prompt, rows in zip(prompts, drawn, strict=True)
        ]

    @property
    def context(self) -> int | None:
        """How many tokens the model has positions for; None where its config does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def _room(self, width: int, sampling: Sampling) -> int:
        """New tokens that a prompt of `width` tokens leaves space for."""
        context = self.context
        return sampling.max_tokens if context is None else min(sampling.max_tokens, context - width)

    def _draw(self, ids: list[list[int]], sampling: Sampling) -> list[list[int]]:
        """The new tokens of each row, up to and including its end-of-sequence token."""
        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.model.device)
        width = batch["input_ids"].shape[1]
        drawing: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            drawing = {
                "do_sample": True,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
            }
        out = self.model.generate(**batch, max_new_tokens=self._room(width, sampling), **drawing)
        rows = []
        for new in out[:, width:].tolist():
            stop = next((i + 1 for i, token in enumerate(new) if token in self.ends), len(new))
            rows.append(new[:stop])
        return rows

    def _completions(self, prompt: Prompt, rows: list[list[int]]) -> list[Completion]:
        opened = prefill(self.tokenizer, prompt, **self.template)
        return [
            Completion(
                self.tokenizer.decode(tokens, skip_special_tokens=True),
                prefill=opened,
                tokens=len(tokens),
                truncated=not tokens or tokens[-1] not in self.ends,
            )
            for tokens in rows
        ]


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a completion: the model's own, and the tokenizer's."""
    theirs = model.generation_config.eos_token_id
    several = [*(theirs if isinstance(theirs, list) else [theirs]), tokenizer.eos_token_id]
    return sorted({token for token in several if token is not None})
