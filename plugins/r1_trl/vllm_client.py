"""TRL's client of a vLLM server, made to say what it waits for, and to give up in the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1cli import ProviderError, UsageError

log = logging.getLogger("r1cli.vllm")

SAID_EVERY = 30.0  # seconds between lines about one wait
START_EVERY = 10.0  # the same, for a server that is not up yet
WAITS = (1, 2, 4, 8, 15, 30)  # seconds before a request is made again: a minute in all
AGAIN = ("/v1/completions", "/collective_rpc", "/reset_prefix_cache")
"""Requests that can be made twice. A transfer over NCCL cannot: both ends count its messages."""


class ServerLost(ProviderError):
    """The server does not answer any more, or refuses what it must do."""


def client_class() -> type:
    """TRL's `VLLMClient`; without a GPU weights go through a file, as NCCL needs one."""
    import requests
    from trl.generation.vllm_client import VLLMClient

    class Client(VLLMClient):  # type: ignore[misc]
        def __init__(self, *args: Any, folder: Path, **given: Any) -> None:
            self.folder = folder.resolve()
            self.by_file = False
            self.lost: ServerLost | None = None
            self.returned = False  # after it was away: a server started anew has other weights
            try:
                super().__init__(*args, **given)
            except requests.RequestException as error:
                raise ProviderError(f"vLLM at {self.base_url}: {error}") from error
            self.session = requests.Session()  # TRL's tries again without a word

        def check_server(self, total_timeout: float = 0.0, retry_interval: float = 2.0) -> None:
            started = said = time.monotonic()
            while True:
                try:
                    answer = requests.get(f"{self.base_url}/health", timeout=10)
                    if answer.status_code == 200:
                        self.host = answer.headers.get("X-Forwarded-For", self.host)
                        return
                    problem = f"status {answer.status_code}"
                except requests.RequestException as error:
                    problem = _short(error)
                now = time.monotonic()
                if now - started >= total_timeout:
                    raise ProviderError(
                        f"no vLLM server at {self.base_url} within {total_timeout:g} s "
                        f"({problem}); start one: r1 serve MODEL, and give its address as "
                        "R1_SERVER_URL or trainer.args.vllm_server_base_url"
                    )
                if now - said >= START_EVERY:
                    said = now
                    waited = f"{now - started:.0f} of {total_timeout:.0f} s"
                    log.info("waiting for vLLM at %s: %s, %s", self.base_url, waited, problem)
                time.sleep(min(retry_interval, max(0.0, started + total_timeout - now)))

        def init_communicator(self, device: Any = 0) -> None:
            import torch

            self.by_file = torch.device(device).type != "cuda"
            try:
                if not self.by_file:
                    super().init_communicator(device)
                    return
                self.get_server_info()
            except RuntimeError as error:
                raise UsageError(
                    f"the vLLM server at {self.base_url} takes no weights; start it by r1 serve"
                ) from error
            log.info("weights go to vLLM at %s through %s", self.base_url, self.folder)

        def generate(self, *args: Any, **given: Any) -> dict[str, Any]:
            with self._losing():
                drawn: dict[str, Any] = super().generate(*args, **given)
                return drawn
            return {"prompt_ids": [], "completion_ids": [], "logprobs": None}

        def update_named_params(self, metadata: Any, named_params: Any) -> None:
            with self._losing():
                if self.by_file:
                    self._send_file(named_params)
                else:
                    super().update_named_params(metadata, named_params)
            for _ in named_params:  # what is left: the other ranks gather each weight with this one
                pass

        def reset_prefix_cache(self) -> None:
            with self._losing():
                super().reset_prefix_cache()

        def _send_file(self, named_params: Any) -> None:
            from safetensors.torch import save_file

            weights = {name: value.detach().cpu().clone() for name, value in named_params}
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(weights, str(self.folder / "model.safetensors"))
            how = {"method": "load_policy", "args": [str(self.folder)]}  # a method of `r1 serve`'s
            self._post(f"{self.base_url}/collective_rpc", json=how)

        def _post(self, url: str, **given: Any) -> dict[str, Any]:
            if self.lost:
                raise self.lost
            path = url.removeprefix(self.base_url)
            waits = WAITS if path in AGAIN else ()
            for wait in (*waits, None):
                away = False
                try:
                    with _saying(f"vLLM at {url}"):
                        answer = self.session.post(url, timeout=(10, None), **given)
                    if answer.status_code == 200:
                        found: dict[str, Any] = answer.json()
                        return found
                    problem = f"status {answer.status_code}: {' '.join(answer.text.split())[:300]}"
                except requests.RequestException as error:
                    problem, away = _short(error), True
                if wait is None or not (away or answer.status_code >= 500):
                    break
                self.returned |= away
                log.warning("vLLM at %s failed: %s; again in %d s", url, problem, wait)
                time.sleep(wait)
            raise ServerLost(f"the vLLM server at {self.base_url} is lost ({path}: {problem})")

        @contextmanager
        def _losing(self) -> Iterator[None]:
            """Note the loss of the server, for all ranks to end on together."""
            try:
                yield
            except ServerLost as error:
                self.lost = error

    return Client


@contextmanager
def _saying(what: str) -> Iterator[None]:
    """A line every now and then, while this is open."""
    over, started = threading.Event(), time.monotonic()

    def say() -> None:
        while not over.wait(SAID_EVERY):
            log.info("waiting for %s: %.0f s", what, time.monotonic() - started)

    threading.Thread(target=say, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _short(error: Exception) -> str:
    """What lies under requests' own long words."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return str(error) or type(error).__name__
