"""The same prompts as a distilabel pipeline, on Ray when asked, for those who run one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from r1_engines.request import forced
from r1cli import (
    Completion,
    Draw,
    Drawn,
    Prompt,
    ProviderError,
    Sampling,
    UsageError,
    http_address,
    require,
)


def distilabel(
    *,
    model: str,
    url: str = "",
    api_key_env: str = "OPENAI_API_KEY",
    concurrency: int = 32,
    timeout: float = 600.0,
    prefill: str = "",
    chat_template_kwargs: dict[str, Any] | None = None,
    ray: bool = False,
    ray_url: str | None = None,
) -> Distilabel:
    """An engine that asks an OpenAI-compatible endpoint through a distilabel pipeline.

    Args:
        url: up to and with the version, as in http://127.0.0.1:8000/v1; else OPENAI_BASE_URL.
        api_key_env: the environment variable that holds the key.
        concurrency: prompts in a batch, which are asked for together.
        timeout: seconds for one request.
        prefill: what the server's chat template writes at the start of an answer.
        chat_template_kwargs: for that template, where the server takes them.
        ray: whether the pipeline runs on Ray; `ray_url` is its head, else a local cluster.
    """
    given = url or os.environ.get("OPENAI_BASE_URL", "")
    if not given:
        raise UsageError("engine 'distilabel' has no address; give --engine-arg url=...")
    address = http_address(given, "engine 'distilabel'")
    key = os.environ.get(api_key_env, "").strip() or "none"
    extra = {"chat_template_kwargs": chat_template_kwargs} if chat_template_kwargs else {}
    llm = {"model": model, "base_url": address, "api_key": key, "timeout": int(timeout)}
    return Distilabel(llm, extra, concurrency, prefill, ray, ray_url)


distilabel.beside = (  # type: ignore[attr-defined]  # say how it is asked, not what is drawn
    *("url", "api_key_env", "concurrency", "timeout", "ray", "ray_url"),
)


class Distilabel:
    """One pipeline per call: nothing comes before all of it is done, so a stop loses a call.

    distilabel sends no seed per request and says no finish reason: an answer as long as the limit
    counts as cut.
    """

    def __init__(
        self,
        llm: dict[str, Any],
        extra: dict[str, Any],
        concurrency: int,
        prefill: str,
        ray: bool,
        ray_url: str | None,
    ) -> None:
        self.llm, self.extra, self.concurrency, self.prefill = llm, extra, concurrency, prefill
        self.ray, self.ray_url = ray, ray_url

    def __enter__(self) -> Distilabel:
        require("generate", "distilabel", "openai", *(["ray"] if self.ray else []))
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.n` completions per prompt (one where greedy), in the prompts' order."""
        n = 1 if sampling.temperature == 0 else sampling.n
        draws = [Draw(prompt, 0) for prompt in prompts for _ in range(n)]
        drawn = [one for several in self.stream(draws, sampling) for one in several]
        for one in drawn:
            if one.error:
                raise one.error
        flat = [one.completion for one in drawn if one.completion is not None]
        return [flat[p * n : (p + 1) * n] for p in range(len(prompts))]

    def stream(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
        """Every sample at once, when the pipeline has ended, in the order of the draws."""
        rows = [
            {"position": position, "messages": _messages(draw.prompt)}
            for position, draw in enumerate(draws)
        ]
        answers = {row["position"]: row for row in self._run(rows, sampling)}
        yield [self._drawn(row["position"], answers, sampling) for row in rows]

    def _run(self, rows: list[dict[str, Any]], sampling: Sampling) -> list[dict[str, Any]]:
        from distilabel.models import OpenAILLM
        from distilabel.pipeline import Pipeline
        from distilabel.steps import LoadDataFromDicts
        from distilabel.steps.tasks import ChatGeneration

        top_k = {"top_k": sampling.top_k} if sampling.top_k else {}
        options = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_new_tokens": sampling.max_tokens,
            "extra_body": {**top_k, **self.extra},
        }
        pipeline = Pipeline(name="r1-generate")
        with pipeline.ray(self.ray_url) if self.ray else pipeline as running:
            load = LoadDataFromDicts(data=rows, batch_size=self.concurrency)
            ask = ChatGeneration(
                llm=OpenAILLM(**self.llm, generation_kwargs=options),
                input_batch_size=self.concurrency,
            )
            load >> ask
        made = running.run(use_cache=False)
        if "default" not in made:
            raise ProviderError(
                f"the distilabel pipeline at {self.llm['base_url']} made nothing; see its log"
            )
        return list(made["default"]["train"])

    def _drawn(self, position: int, answers: dict[int, Any], sampling: Sampling) -> Drawn:
        row = answers.get(position)
        text = row["generation"] if row else None
        if text is None:
            return Drawn(position, error=ProviderError("distilabel got no answer; see its log"))
        usage = _usage(row["distilabel_metadata"])
        tokens = usage.get("completion_tokens", 0)
        opened = "" if text.lstrip().startswith(self.prefill.strip()) else self.prefill
        completion = Completion(
            text, prefill=opened, tokens=tokens, truncated=tokens >= sampling.max_tokens
        )
        return Drawn(position, completion, usage=usage)


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    if begun := forced(prompt):
        raise UsageError(f"engine 'distilabel' cannot make answers begin with {begun!r}; use vllm")
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _usage(metadata: dict[str, Any]) -> dict[str, int]:
    """What the server counted, from where distilabel keeps it for the step."""
    found = next((value for name, value in metadata.items() if name.startswith("statistics")), {})
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    counts = {ours: found.get(theirs) for ours, theirs in names.items()}
    return {
        name: int(sum(value) if isinstance(value, list) else value)
        for name, value in counts.items()
        if value
    }
