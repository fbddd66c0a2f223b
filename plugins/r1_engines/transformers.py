"""Completions by `model.generate`: slow, but everywhere, and exactly the model's own numbers."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal

from r1_engines.gumbel_max import GumbelMax, Sound, warpers
from r1_engines.request import seed_of
from r1cli import (
    Completion,
    Draw,
    Drawn,
    Prompt,
    Sampling,
    UsageError,
    load_model,
    load_tokenizer,
    one_line,
    prefill,
    render,
    require,
)

log = logging.getLogger("r1cli.engine")

WINDOW = 16
"""Batches whose draws are sorted by length together: enough to pad little, few enough to hold."""


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
    if batch_size < 1:
        raise UsageError(f"engine 'transformers': batch_size {batch_size} is not 1 or more")
    template = chat_template_kwargs or {}
    return Transformers(model, revision, dtype, batch_size, device, template)


transformers.beside = ("batch_size",)  # type: ignore[attr-defined]
transformers.version = 2  # type: ignore[attr-defined]  # each sample is drawn by its own seed


@dataclass(frozen=True)
class _Row:
    """A draw, its number, and its prompt as tokens."""

    position: int
    draw: Draw
    ids: list[int]


class Transformers:
    """Loads on entering. Draws are sorted by length, so that little is padded.

    A sample depends on its prompt, its seed and the sampling. What is left of its batch are
    roundings, for the width of a batch orders the sums: in float32 they hardly ever reach the
    choice of a token, in 16 bits now and then. RoPE scalings that look at the longest row
    (`dynamic`, `longrope`) are left as well.
    """

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
        self.widest = math.inf

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
        try:
            self.model.to(device).eval()
        except (AssertionError, RuntimeError) as error:  # no such device, or no room on it
            said = one_line(error)
            raise UsageError(f"{self.name} cannot be put on device {device!r}: {said}") from error
        if self.context:
            self.widest = self.context if _has_masks(self.model, self.context) else math.inf
            # peft's model hands `generate` down to the one that it is built on.
            _keep_inside(getattr(self.model, "get_base_model", lambda: self.model)(), self.context)
        return self

    def __exit__(self, *exc: object) -> None:
        self.model = self.tokenizer = None

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.n` completions per prompt (one where greedy), in the prompts' order.

        A prompt that fills the model's context gets empty, truncated completions, counted aloud.
        """
        n = 1 if sampling.temperature == 0 else sampling.n
        draws = [
            Draw(prompt, seed_of(sampling.seed, index, number))
            for index, prompt in enumerate(prompts)
            for number in range(n)
        ]
        drawn = sorted(chain(*self.stream(draws, sampling)), key=lambda one: one.position)
        found: list[Any] = [one.completion for one in drawn]
        return [found[start : start + n] for start in range(0, len(found), n)]

    def stream(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
        """A sample per draw, batch by batch; of `WINDOW` batches the shortest prompts first."""
        numbered = enumerate(draws)
        while window := list(islice(numbered, WINDOW * self.batch_size)):
            rows = [_Row(position, draw, self._ids(draw.prompt)) for position, draw in window]
            full = [row for row in rows if self._room(row, sampling) <= 0]
            if full:
                log.warning(
                    "%d of %d samples are empty: their prompts fill the context of %d tokens",
                    *(len(full), len(rows), self.context),
                )
                yield [self._drawn(row, []) for row in full]
            fitting = [row for row in rows if self._room(row, sampling) > 0]
            fitting.sort(key=lambda row: len(row.ids))
            for batch in self._batches(fitting, sampling):
                written = self._write(batch, sampling)
                yield [self._drawn(row, new) for row, new in zip(batch, written, strict=True)]

    @property
    def context(self) -> int | None:
        """How many tokens the model has positions for; None where its config does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def _ids(self, prompt: Prompt) -> list[int]:
        text = render(self.tokenizer, prompt, **self.template)
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if not ids:
            raise UsageError(
                f"{self.name}: its tokenizer makes no token of the prompt {text[:60]!r}; is it "
                "empty, or has the model no tokenizer files?"
            )
        return ids

    def _room(self, row: _Row, sampling: Sampling) -> int:
        """New tokens that a row's own prompt leaves space for."""
        left = sampling.max_tokens if self.context is None else self.context - len(row.ids)
        return min(sampling.max_tokens, left)

    def _batches(self, rows: list[_Row], sampling: Sampling) -> Iterator[list[_Row]]:
        """Neighbours. A model that holds its masks as tables has none for what is wider than its
        context, padding and all: there only rows that end before it, or as one, stand together."""
        batch: list[_Row] = []
        for row in rows:
            width = len(row.ids) + (self._room(batch[0], sampling) if batch else 0)
            if len(batch) == self.batch_size or width > self.widest:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _write(self, rows: list[_Row], sampling: Sampling) -> list[list[int]]:
        """The new tokens of each row, up to and including its end-of-sequence token."""
        import torch
        from transformers import LogitsProcessorList

        padded = self.tokenizer.pad({"input_ids": [row.ids for row in rows]}, return_tensors="pt")
        batch = padded.to(self.model.device)
        sound = Sound(len(rows), self.model.device)
        processors: list[Any] = [sound]
        if sampling.temperature > 0:
            noise = GumbelMax([row.draw.seed for row in rows], self.model.device)
            processors = [*warpers(sampling), sound, noise]
        rooms = [self._room(row, sampling) for row in rows]
        with torch.inference_mode():
            out = self.model.generate(
                **batch,
                do_sample=False,
                logits_processor=LogitsProcessorList(processors),
                max_new_tokens=max(rooms),
            )
        if not sound.rows.all():
            raise UsageError(
                f"{self.name} gives scores that are no numbers in {self.model.dtype}; a wider "
                "type may do: --engine-arg dtype=float32"
            )
        written = []
        for new, room in zip(out[:, batch["input_ids"].shape[1] :].tolist(), rooms, strict=True):
            stop = next((i + 1 for i, token in enumerate(new) if token in self.ends), len(new))
            written.append(new[: min(stop, room)])
        return written

    def _drawn(self, row: _Row, tokens: list[int]) -> Drawn:
        completion = Completion(
            self.tokenizer.decode(tokens, skip_special_tokens=True),
            prefill=prefill(self.tokenizer, row.draw.prompt, **self.template),
            tokens=len(tokens),
            truncated=not tokens or tokens[-1] not in self.ends,
        )
        return Drawn(row.position, completion)


def _keep_inside(model: Any, context: int) -> None:
    """Keep the positions of a batch below `context`.

    Rows whose context is full are computed on, for nothing, until the others have filled theirs; a
    model with a table of positions has none for them.
    """

    def keep(module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        positions = kwargs.get("position_ids")
        if positions is None:
            return None
        return args, {**kwargs, "position_ids": positions.clamp_max(context - 1)}

    model.register_forward_pre_hook(keep, with_kwargs=True)


def _has_masks(model: Any, context: int) -> bool:
    """Whether it holds causal masks as tables of the context's width, as GPT-Neo does."""
    return any(table.shape[-2:] == (context, context) for table in model.buffers())


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a completion: the model's own, and the tokenizer's."""
    theirs = model.generation_config.eos_token_id
    several = [*(theirs if isinstance(theirs, list) else [theirs]), tokenizer.eos_token_id]
    return sorted({token for token in several if token is not None})
