"""Completions from any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp, a hosted model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from r1_engines.background import Background
from r1_engines.drawing import Drawing
from r1_engines.request import Wording, seed_of
from r1cli import (
    Completion,
    Draw,
    Drawn,
    Endpoint,
    Prompt,
    Sampling,
    UsageError,
    direct,
    http_address,
    require,
    suggest,
)

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("r1cli.engine")

URL_ENV = "OPENAI_BASE_URL"


def openai(
    *,
    model: str,
    url: str = "",
    api_key_env: str = "OPENAI_API_KEY",
    concurrency: int = 32,
    timeout: float = 600.0,
    tries: int = 8,
    patience: float = 600.0,
    chat: bool = True,
    chat_template_kwargs: dict[str, Any] | None = None,
    prefill: str = "",
    listed: bool = True,
    extra_body: dict[str, Any] | None = None,
) -> OpenAI:
    """An engine on the model that the endpoint calls `model`.

    Args:
        url: up to and with the version, as in http://127.0.0.1:8000/v1; else OPENAI_BASE_URL.
        api_key_env: the environment variable that holds the key; none is sent where it is unset.
        concurrency: requests open at a time.
        timeout: seconds for one request.
        tries: of a request that the server fails on; 8 last about a minute.
        patience: seconds for which an endpoint that is down is waited for, work so far kept.
        chat: whether messages go through the server's chat template; else their text goes plain.
        chat_template_kwargs: for that template (enable_thinking, say), where the server takes them.
        prefill: what that template writes at the start of an answer and the server leaves out.
        listed: whether to look first that the endpoint answers, and lists the model if any.
        extra_body: laid over every request; null takes a field away.
    """
    url = url or os.environ.get(URL_ENV, "")
    if not url:
        raise UsageError(f"engine 'openai' has no address; give --engine-arg url=... or {URL_ENV}")
    url = http_address(url, "engine 'openai'")
    for name, value in (("concurrency", concurrency), ("timeout", timeout), ("tries", tries)):
        if not value > 0:
            raise UsageError(f"engine 'openai': {name} = {value:g} must be more than 0")
    key = os.environ.get(api_key_env, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the key in {api_key_env} holds characters that no key has")

    if not patience >= 0:
        raise UsageError(f"engine 'openai': patience = {patience:g} must be 0 or more")

    def endpoint(client: httpx.AsyncClient) -> Endpoint:
        return Endpoint(client, url, key, api_key_env, timeout, tries, patience)

    template = {"chat_template_kwargs": chat_template_kwargs} if chat_template_kwargs else {}
    wording = Wording(model, chat=chat, extra={**template, **(extra_body or {})})
    return OpenAI(endpoint, wording, concurrency=concurrency, prefill=prefill, listed=listed)


openai.beside = (  # type: ignore[attr-defined]  # say how it is asked, not what is drawn
    *("url", "api_key_env", "concurrency", "timeout", "tries", "patience", "listed"),
)


class OpenAI:
    """Entering looks for the model at the endpoint. May be used where an event loop runs."""

    def __init__(
        self,
        endpoint: Callable[[httpx.AsyncClient], Endpoint],
        wording: Wording,
        *,
        concurrency: int,
        prefill: str,
        listed: bool,
    ) -> None:
        self.endpoint, self.wording, self.concurrency = endpoint, wording, concurrency
        self.prefill, self.listed = prefill, listed

    def __enter__(self) -> OpenAI:
        require("openai", "httpx")
        self.background = Background()
        try:
            self.background.run(self._connect())
        except BaseException:
            self.background.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.background.run(self.client.aclose())
        self.background.close()

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.n` completions per prompt (one where greedy), in the prompts' order.

        A prompt that fills the model's context gets empty, truncated completions, counted aloud.
        Raises the first error that any of them ends with.
        """
        n = 1 if sampling.temperature == 0 else sampling.n
        draws = (
            Draw(prompt, seed_of(sampling.seed, index, number))
            for index, prompt in enumerate(prompts)
            for number in range(n)
        )
        found: dict[int, Completion] = {}
        for several in self.stream(draws, sampling):
            for drawn in several:
                if drawn.completion is None:
                    assert drawn.error
                    raise drawn.error
                found[drawn.position] = drawn.completion
        return [[found[p * n + number] for number in range(n)] for p in range(len(prompts))]

    def stream(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
        """Each sample as it comes, `concurrency` requests open at a time.

        What fails with one is its error. Raises Gone when the endpoint was down for `patience`
        seconds, Refused for a wrong key or path; other samples that were there come first.
        """
        before = self.drawing.full

        async def draw(numbered: tuple[int, Draw]) -> Drawn:
            return await self.drawing.draw(*numbered, sampling)

        yield from self.background.each(enumerate(draws), draw, self.concurrency)
        if self.drawing.full > before:
            log.warning(
                "%d samples are empty: their prompts fill the model's context",
                self.drawing.full - before,
            )

    async def _connect(self) -> None:
        """Open connections, and learn whether the model is there and who serves it."""
        import httpx

        limits = httpx.Limits(
            max_connections=self.concurrency, max_keepalive_connections=self.concurrency
        )
        waits = httpx.Timeout(None, connect=10.0)  # the endpoint limits the whole of a request
        self.client = httpx.AsyncClient(limits=limits, timeout=waits, mounts=direct())
        endpoint, model = self.endpoint(self.client), self.wording.model
        try:
            models = await endpoint.models() if self.listed else []
            names = [str(known["id"]) for known in models]
            if names and model not in names:
                raise UsageError(
                    f"endpoint {endpoint.shown} has no model {model!r}; "
                    f"{suggest(model, names)[:400]}"
                )
        except BaseException:
            await self.client.aclose()
            raise
        self.wording.server = str(models[0].get("owned_by", "")) if models else ""
        self.drawing = Drawing(endpoint, self.wording, self.prefill)
