"""vLLM's own server: the command that starts it, and an engine that starts one for itself."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1_engines.openai import OpenAI, openai
from r1cli import (
    Completion,
    Draw,
    Drawn,
    Prompt,
    ProviderError,
    Sampling,
    load_tokenizer,
    prefill,
    render,
    require,
)

WITH_GPU = {"weight_transfer_config": {"backend": "nccl"}}
WITHOUT_GPU = {"dtype": "float32", "gpu_memory_utilization": 0.3}
"""vLLM's share is of the machine's memory there, and its own default more than is ever free."""
TAKES_FILES = {"worker_extension_cls": "r1_engines.vllm_cpu.TakesWeights"}
GRACE = 60.0  # seconds that the server has for its end


def serve(
    model: str, options: Mapping[str, Any], *, host: str, port: int, gpu: bool, start: bool = True
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of a server of `model`; `options` are vLLM's own.

    It takes the weights of a policy in training, as TRL's GRPO sends them: over NCCL, or without a
    GPU from a folder. Log-probabilities are those of the tokens as they were sampled, which the
    correction for sampling with another engine needs. Raises MissingExtra where it is to `start`
    and cannot.
    """
    if start:
        require("vllm", "vllm")
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "logprobs_mode": "processed_logprobs",
        "max_logprobs": -1,
        **(WITH_GPU if gpu else {**WITHOUT_GPU, **TAKES_FILES}),
        **options,
    }
    main = "vllm.entrypoints.cli.main" if gpu else "r1_engines.vllm_cpu"
    command = [sys.executable, "-m", main, "serve", model]
    for name, value in given.items():
        command += _flag(name.replace("_", "-"), value)
    # Without it vLLM's server has no endpoint that takes weights.
    return command, {"VLLM_SERVER_DEV_MODE": "1"}


def _flag(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return [f"--{name}={text}"]


class OwnServer:
    """Entering runs `r1 serve` on a free port; leaving ends it, and so does the end of `r1`."""

    def __init__(self, model: str, options: dict[str, Any], template: dict[str, Any]) -> None:
        self.model, self.options, self.template = model, dict(options), template
        self.process: subprocess.Popen[str] | None = None
        self.engine: OpenAI | None = None
        self.url = ""
        self.tokenizer: Any = None

    def __enter__(self) -> OwnServer:
        require("vllm", "vllm")
        require("openai", "httpx")
        self.tokenizer = load_tokenizer(self.model, self.options.get("revision"))
        parallel = self.options.pop("tensor_parallel_size")
        extra = [f"--extra={name}={json.dumps(value)}" for name, value in self.options.items()]
        command = ["serve", self.model, "--port=0", f"--tp={parallel}", *extra]
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        try:
            address = self.process.stdout.readline().strip()
            if not address:  # it has said why on stderr
                raise ProviderError(f"vLLM's server did not start: r1 {' '.join(command)}")
            self.url = f"{address}/v1"
            plain = {"add_special_tokens": False}  # the chat template has written them
            self.engine = openai(model=self.model, url=self.url, extra_body=plain).__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self.engine:
            self.engine.__exit__(*exc)
        assert self.process is not None
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Completion]]:
        """As engine `openai` does, on prompts that the model's chat template was put to here."""
        assert self.engine is not None
        drawn = self.engine.generate([self._text(prompt) for prompt in prompts], sampling)
        return [
            [self._opened(one, prompt) for one in group]
            for prompt, group in zip(prompts, drawn, strict=True)
        ]

    def stream(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
        assert self.engine is not None
        asked: dict[int, Prompt] = {}

        def rendered() -> Iterator[Draw]:
            for position, draw in enumerate(draws):
                asked[position] = draw.prompt
                yield replace(draw, prompt=self._text(draw.prompt))

        for several in self.engine.stream(rendered(), sampling):
            yield [self._whole(drawn, asked.pop(drawn.position)) for drawn in several]

    def _text(self, prompt: Prompt) -> str:
        return render(self.tokenizer, prompt, **self.template)

    def _whole(self, drawn: Drawn, prompt: Prompt) -> Drawn:
        if drawn.completion is None:
            return drawn
        return replace(drawn, completion=self._opened(drawn.completion, prompt))

    def _opened(self, completion: Completion, prompt: Prompt) -> Completion:
        """The completion with what the chat template wrote before it."""
        return Completion(
            completion,
            prefill=prefill(self.tokenizer, prompt, **self.template),
            tokens=completion.tokens,
            truncated=completion.truncated,
        )


def _end_with_stdin() -> None:
    """Stop this process as SIGTERM does once nobody holds the other end of its stdin."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":  # `r1 serve`, for as long as the engine that started it is there
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    runpy.run_module("r1cli", run_name="__main__", alter_sys=True)
