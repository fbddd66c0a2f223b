"""The process that runs a distilabel pipeline: `python -m r1_engines.distilabel_pipeline FD`.

By that connection it receives the job, then batches of draws up to a None, and sends pairs:

    drawn    samples            said     a level and a line of ours for the log
    trouble  a line of others'  ended    why there will be no more samples
    done     all are through
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import Manager
from multiprocessing.connection import Connection
from typing import Any

from r1cli import ProviderError

AHEAD = 2  # batches that wait in the queue, so that a replica never does

Tell = Callable[[str, Any], None]


def main(connection: Connection) -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    lock = threading.Lock()

    def tell(kind: str, value: Any = None) -> None:
        with lock:
            connection.send((kind, value))

    try:
        _run(connection, tell)
    except ProviderError as error:
        tell("ended", str(error))
    except Exception as error:
        traceback.print_exc()
        cause = error.__cause__ or error
        tell("ended", f"distilabel failed: {type(cause).__name__}: {_line(str(cause))}")
    else:
        tell("done")


def _run(connection: Connection, tell: Tell) -> None:
    from distilabel.pipeline import Pipeline
    from distilabel.steps import StepResources

    from r1_engines.distilabel_steps import Ask, Draws, Shared

    job = connection.recv()
    asking, running, replicas = job["asking"], job["running"], job["running"]["replicas"]
    if not (first := connection.recv()):
        return
    batches, results = _on_ray(running["ray_url"]) if running["ray"] else _here()
    with Pipeline(name="r1-generate") as pipeline:
        draws = Draws(batches=Shared(batches), batch_size=len(first))
        ask = Ask(
            asking=asking,
            sampling=job["sampling"],
            key=os.environ.get(asking["api_key_env"], ""),
            results=Shared(results),
            # distilabel asks for more only when a batch is through: one for each replica is there.
            input_batch_size=-(-len(first) // replicas),
            resources=StepResources(replicas=replicas),
        )
        draws >> ask
    threading.Thread(target=_feed, args=(connection, first, batches), daemon=True).start()
    giver = threading.Thread(target=_give, args=(results, tell), daemon=True)
    giver.start()
    runner = pipeline.ray() if running["ray"] else pipeline
    runner.run(use_cache=False, logging_handlers=[Said(tell)])
    results.put(None)
    giver.join()


def _here() -> tuple[Any, Any]:
    manager = Manager()
    return manager.Queue(AHEAD), manager.Queue()


def _on_ray(address: str) -> tuple[Any, Any]:
    """Connects, so that distilabel finds the connection and makes none."""
    import ray
    from ray.util.queue import Queue

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours tells nobody
    address = address or os.environ.get("RAY_ADDRESS", "")
    try:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        if colon and port.isdecimal():  # Ray itself goes on trying for many minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address=address or None, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        said = _line(str(error)) or type(error).__name__
        raise ProviderError(f"no Ray cluster at {address or 'this machine'}: {said}") from error
    return Queue(AHEAD), Queue()


def _feed(connection: Connection, batch: Any, batches: Any) -> None:
    while batch is not None:
        batches.put(batch)
        batch = connection.recv()
    batches.put(None)


def _give(results: Any, tell: Tell) -> None:
    while (found := results.get()) is not None:
        tell(*found)


class Said(logging.Handler):
    """What the steps log, wherever they run."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self.tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        line = _line(record.getMessage())
        if record.name.startswith("r1cli"):
            self.tell("said", (record.levelno, line))
        else:
            self.tell("trouble", line)


def _line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")[:400]


def _end_with(parent: int) -> None:
    """End, with all that was started, when the process that wants it was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    shutil.rmtree(os.environ["DISTILABEL_CACHE_DIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
