"""Completions by vLLM: in this process, by a server that is started for it, or by one that runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

from r1_engines.openai import openai
from r1_engines.request import seed_of
from r1_engines.vllm_process import interruptible, lead
from r1_engines.vllm_server import WITHOUT_GPU, OwnServer, serve
from r1cli import (
    Completion,
    Draw,
    Drawn,
    Engine,
    Prompt,
    Sampling,
    UsageError,
    ensure_model,
    one_line,
    prefill,
    render,
    require,
    stored_adapter,
)

log = logging.getLogger("r1cli.engine")

TOGETHER = 1024
"""Draws that vLLM is given at once: as many as keep it busy, few enough to lose little."""
GRACE = 30.0  # seconds that vLLM's processes have for their end


def vllm(
    *,
    model: str,
    revision: str | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    tensor_parallel: int = 1,
    gpu_memory_utilization: float | None = None,
    max_model_len: int | None = None,
    extra: dict[str, Any] = {},  # noqa: B006 - a default, never changed
    chat_template_kwargs: dict[str, Any] = {},  # noqa: B006 - the same
    server: bool = False,
    url: str = "",
) -> Engine:
    """An engine on vLLM.

    Args:
        dtype: `auto` is the checkpoint's, 16 bits where that has 32; without a GPU float32.
        tensor_parallel: GPUs that share one copy of the weights; divides the attention heads.
        gpu_memory_utilization: vLLM's share of each GPU, 0.9; without one of the memory, 0.3.
        max_model_len: tokens of prompt and completion; by default what the model has positions for.
        extra: further options of vLLM's engine, under its own names.
        chat_template_kwargs: for the model's chat template: enable_thinking, say.
        server: whether to start a server of its own, as `r1 serve` does, and end it at the end.
        url: of a server that runs already, up to and with the version; the rest is then its own.
    """
    given = (tensor_parallel, gpu_memory_utilization, max_model_len, extra, dtype, revision)
    if url:
        if server or given != (1, None, None, {}, "auto", None):
            raise UsageError("engine 'vllm': with url the server has its options already")
        return openai(model=model, url=url, chat_template_kwargs=chat_template_kwargs)
    options: dict[str, Any] = {
        "tensor_parallel_size": tensor_parallel,
        **({"gpu_memory_utilization": gpu_memory_utilization} if gpu_memory_utilization else {}),
        **({"max_model_len": max_model_len} if max_model_len else {}),
        **({"revision": revision} if revision else {}),
        **({"dtype": dtype} if dtype != "auto" else {}),
        **extra,
    }
    if server:
        return OwnServer(model, options, chat_template_kwargs)
    return Vllm(model, revision, options, chat_template_kwargs)


vllm.beside = ("tensor_parallel", "gpu_memory_utilization", "server", "url")  # type: ignore[attr-defined]
vllm.serve = serve  # type: ignore[attr-defined]  # what `r1 serve` starts


class Vllm:
    """Loads on entering. Every prompt has a seed of its own, so its batch does not decide."""

    def __init__(
        self,
        model: str,
        revision: str | None,
        options: dict[str, Any],
        template: dict[str, Any],
    ) -> None:
        self.name, self.revision, self.options, self.template = model, revision, options, template
        self.llm: Any = None
        self.tokenizer: Any = None

    def __enter__(self) -> Vllm:
        require("vllm", "vllm", "torch")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        lead()
        ensure_model(self.name, self.revision)
        if stored_adapter(self.name, self.revision):
            raise UsageError(
                f"{self.name} is an adapter, which vLLM is given merged: r1 model merge --help"
            )
        import torch
        from vllm import LLM

        if not torch.cuda.is_available():
            self.options = {**WITHOUT_GPU, **self.options}
        try:
            with interruptible():
                self.llm = LLM(self.name, **{"use_tqdm_on_load": False, **self.options})
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            line = one_line(error)
            if "root cause" in line:  # of a process of its own
                line = "its own words above say why"
            raise UsageError(f"vLLM cannot load {self.name!r}: {line}") from error
        self.tokenizer = self.llm.get_tokenizer()
        return self

    def __exit__(self, *exc: object) -> None:
        engine = self.llm.llm_engine.engine_core
        self.llm = self.tokenizer = None
        engine.shutdown(timeout=GRACE)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.n` completions per prompt (one where greedy), in the prompts' order.

        A prompt that fills the model's context gets empty, truncated completions, counted aloud.
        """
        n = 1 if sampling.temperature == 0 else sampling.n
        # Sample i of a prompt has the prompt's seed plus i: vLLM counts so by itself.
        seeds = [seed_of(sampling.seed, index, 0) for index in range(len(prompts))]
        return self._groups(prompts, seeds, sampling, n)

    def stream(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
        """A sample per draw, `TOGETHER` of them at a time."""
        numbered = enumerate(draws)
        while batch := list(islice(numbered, TOGETHER)):
            prompts, seeds = ([d.prompt for _, d in batch], [d.seed for _, d in batch])
            groups = self._groups(prompts, seeds, sampling, 1)
            yield [Drawn(p, group[0]) for (p, _), group in zip(batch, groups, strict=True)]

    def _groups(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], sampling: Sampling, n: int
    ) -> list[list[Completion]]:
        context = self.llm.llm_engine.model_config.max_model_len
        texts = [render(self.tokenizer, prompt, **self.template) for prompt in prompts]
        ids = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        fitting = [p for p in range(len(prompts)) if len(ids[p]) < context]
        if len(fitting) < len(prompts):
            log.warning(
                "%d of %d prompts fill the context of %d tokens: their completions are empty",
                *(len(prompts) - len(fitting), len(prompts), context),
            )
        drawn = self.llm.generate(
            [{"prompt_token_ids": ids[p]} for p in fitting],
            [self._parameters(sampling, seeds[p], n, context - len(ids[p])) for p in fitting],
            use_tqdm=False,
        )
        found = [[Completion("", truncated=True)] * n for _ in prompts]
        for p, output in zip(fitting, drawn, strict=True):
            opened = prefill(self.tokenizer, prompts[p], **self.template)
            found[p] = [self._completion(one, opened) for one in output.outputs]
        return found

    def _parameters(self, sampling: Sampling, seed: int, n: int, room: int) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            n=n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=min(sampling.max_tokens, room),
            seed=seed,
            detokenize=False,
        )

    def _completion(self, output: Any, opened: str) -> Completion:
        return Completion(
            self.tokenizer.decode(output.token_ids, skip_special_tokens=True),
            prefill=opened,
            tokens=len(output.token_ids),
            truncated=output.finish_reason != "stop",
        )
