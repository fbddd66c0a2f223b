"""The requests of engine `openai`, made by a distilabel pipeline; on Ray when asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from r1_engines.distilabel_process import PipelineProcess
from r1_engines.openai import OpenAI, openai
from r1cli import Draw, Drawn, Sampling, UsageError, require


def distilabel(
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
    replicas: int = 1,
    ray: bool = False,
    ray_url: str = "",
) -> Distilabel:
    """Engine `openai`, whose arguments these are, as the step of a distilabel pipeline.

    Args:
        concurrency: requests that a replica has open at a time.
        replicas: processes that ask, on Ray actors: each with requests of its own.
        ray: whether the pipeline runs on Ray.
        ray_url: of the cluster: HOST:PORT, ray://HOST:PORT, auto for the one of this machine. By
            default RAY_ADDRESS, then the one of this machine, then one that is started for this.
    """
    asking = {
        "model": model,
        "url": url,
        "api_key_env": api_key_env,
        "concurrency": concurrency,
        "timeout": timeout,
        "tries": tries,
        "patience": patience,
        "chat": chat,
        "chat_template_kwargs": chat_template_kwargs,
        "prefill": prefill,
        "listed": listed,
        "extra_body": extra_body,
    }
    engine = openai(**asking)
    if replicas < 1:
        raise UsageError(f"engine 'distilabel': replicas = {replicas} must be 1 or more")
    if ray_url and not ray:
        raise UsageError("engine 'distilabel': ray_url is for ray=true")
    running = {"replicas": replicas, "ray": ray, "ray_url": ray_url}
    return Distilabel(engine, asking, running)


distilabel.beside = (  # type: ignore[attr-defined]  # say how it is asked, not what is drawn
    *openai.beside,  # type: ignore[attr-defined]
    *("replicas", "ray", "ray_url"),
)


class Distilabel(OpenAI):
    """Entering looks for the model at the endpoint, from here; each stream is one pipeline."""

    def __init__(self, engine: OpenAI, asking: dict[str, Any], running: dict[str, Any]) -> None:
        super().__init__(
            engine.endpoint,
            engine.wording,
            concurrency=engine.concurrency,
            prefill=engine.prefill,
            listed=engine.listed,
        )
        self.asking, self.running = asking, running

    def __enter__(self) -> Distilabel:
        require("generate", "distilabel", "requests")
        if self.running["ray"]:
            require("ray", "ray")
        super().__enter__()
        return self

    def stream(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
        """As engine `openai` has it, from the same seeds; each sample comes when it is there."""
        job = {"asking": self.asking, "running": self.running, "sampling": vars(sampling)}
        with closing(PipelineProcess(job)) as pipeline:
            yield from pipeline.run(self._checked(draws, sampling))

    def _checked(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[Draw]:
        """The draws; raises here what the pipeline could only log."""
        for draw in draws:
            self.wording.body(draw.prompt, sampling)
            yield draw
