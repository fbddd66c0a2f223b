"""Completions by `model.generate`: slow, but everywhere, and exactly the model's own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from r1cli import (
    Completion,
    Prompt,
    Sampling,
    UsageError,
    ensure_model,
    prefill,
    render,
    require,
)


def transformers(
    *,
    model: str,
    revision: str | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    batch_size: int = 64,
    device: str = "auto",
) -> Transformers:
    """An engine on transformers. `batch_size` counts completions; device `auto` prefers a GPU."""
    return Transformers(model, revision, dtype, batch_size, device)


class Transformers:
    """Loads on entering. Prompts are sorted by length, so that little is padded."""

    def __init__(
        self, model: str, revision: str | None, dtype: str, batch_size: int, device: str
    ) -> None:
        self.name, self.revision, self.dtype = model, revision, dtype
        self.batch_size, self.device = batch_size, device
        self.model: Any = None
        self.tokenizer: Any = None

    def __enter__(self) -> Transformers:
        require("eval", "torch", "transformers")
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        ensure_model(self.name, self.revision)
        cuda = torch.cuda.is_available()
        device = self.device if self.device != "auto" else "cuda" if cuda else "cpu"
        dtype = "float32" if self.dtype == "auto" and not cuda else self.dtype
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(
                self.name, revision=self.revision, padding_side="left"
            )
            self.model = AutoModelForCausalLM.from_pretrained(
                self.name, revision=self.revision, dtype=dtype
            )
        except (OSError, ValueError) as error:
            line = " ".join(str(error).split())[:300]
            raise UsageError(f"model {self.name!r} could not be loaded: {line}") from error
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model.to(device).eval()
        return self

    def __exit__(self, *exc: object) -> None:
        self.model = self.tokenizer = None

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.n` completions per prompt (one where greedy), in the prompts' order."""
        import torch

        greedy = sampling.temperature == 0
        n = 1 if greedy else sampling.n
        texts = [render(self.tokenizer, prompt) for prompt in prompts]
        ids = [self.tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
        found: list[list[Completion]] = [[] for _ in prompts]
        drawn = sorted((len(ids[p]), p, s) for p in range(len(prompts)) for s in range(n))
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(sampling.seed)
            for start in range(0, len(drawn), self.batch_size):
                chosen = [p for _, p, _ in drawn[start : start + self.batch_size]]
                rows = self._batch([ids[p] for p in chosen], sampling)
                for p, tokens in zip(chosen, rows, strict=True):
                    found[p].append(self._completion(prompts[p], tokens, sampling.max_tokens))
        return found

    def _batch(self, ids: list[list[int]], sampling: Sampling) -> list[list[int]]:
        """The new tokens of each row, up to and including its end-of-sequence token."""
        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.model.device)
        width = batch["input_ids"].shape[1]
        context = getattr(self.model.config, "max_position_embeddings", None)
        room = sampling.max_tokens if context is None else min(sampling.max_tokens, context - width)
        if room < 1:
            raise UsageError(
                f"a prompt of {width} tokens fills the model's context of {context}; "
                "leave it out or use a model with a longer one"
            )
        drawing = (
            {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
            if sampling.temperature == 0
            else {
                "do_sample": True,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
            }
        )
        out = self.model.generate(
            **batch, max_new_tokens=room, pad_token_id=self.tokenizer.pad_token_id, **drawing
        )
        ends = self._ends()
        rows = []
        for new in out[:, width:].tolist():
            stop = next((i + 1 for i, token in enumerate(new) if token in ends), len(new))
            rows.append(new[:stop])
        return rows

    def _ends(self) -> set[int]:
        configured = self.model.generation_config.eos_token_id
        several = configured if isinstance(configured, list) else [configured]
        return {token for token in (*several, self.tokenizer.eos_token_id) if token is not None}

    def _completion(self, prompt: Prompt, tokens: list[int], limit: int) -> Completion:
        truncated = not tokens or tokens[-1] not in self._ends()
        return Completion(
            self.tokenizer.decode(tokens, skip_special_tokens=True),
            prefill=prefill(self.tokenizer, prompt),
            tokens=len(tokens),
            truncated=truncated,
        )
