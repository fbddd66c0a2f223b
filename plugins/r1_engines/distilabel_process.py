"""distilabel in a process of its own: it takes over the logging, the signals and the forks."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing import Pipe
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from r1cli import Draw, Drawn, ProviderError

log = logging.getLogger("r1cli.engine")

POLL = 1.0  # seconds between looks at whether the process is there
GRACE = 30.0  # seconds for its end, once all is done
ROUNDS = 8  # draws that are handed on together, for each request that is open at a time
SILENCE = 300.0  # seconds, and two timeouts: by then a request has come to something, or said why
LEVEL = "DISTILABEL_LOG_LEVEL"


class PipelineProcess:
    """`python -m r1_engines.distilabel_pipeline` for one `job`; `close` leaves nothing of it.

    What it keeps on disk is in a folder that goes with it. It is quiet unless DISTILABEL_LOG_LEVEL
    is set.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.size = ROUNDS * job["asking"]["concurrency"] * job["running"]["replicas"]
        self.silence = SILENCE + 2 * job["asking"]["timeout"]
        self.fed, self.over = 0, False
        self.error: Exception | None = None
        self.trouble = "it said nothing"
        self.folder = TemporaryDirectory(prefix="r1-")  # short: sockets lie in it
        self.connection, theirs = Pipe()
        # By this one distilabel knows a node of Ray's, and goes there unasked.
        environment = {k: v for k, v in os.environ.items() if k != "RAY_NODE_TYPE_NAME"}
        with theirs, (Path(self.folder.name) / "log").open("wb") as file:
            said = 2 if LEVEL in environment else file
            self.process = subprocess.Popen(
                [sys.executable, "-m", "r1_engines.distilabel_pipeline", str(theirs.fileno())],
                env={
                    LEVEL: "WARNING",
                    **environment,
                    "DISTILABEL_CACHE_DIR": self.folder.name,
                    "HF_DATASETS_CACHE": self.folder.name,
                    # Ray finds the cluster of this machine by its own temporary folder.
                    **({} if job["running"]["ray"] else {"TMPDIR": self.folder.name}),
                },
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is ours, and what it forks can be ended with it
            )
        self.feeder = threading.Thread(target=self._feed, name="r1-feeder", daemon=True)
        self.connection.send(job)

    def run(self, draws: Iterable[Draw]) -> Iterator[list[Drawn]]:
        """The samples as they come. Raises ProviderError for what ended it before them all."""
        self.draws = draws
        self.feeder.start()
        found = 0
        while not self.over:
            kind, value = self._receive()
            if kind == "drawn":
                found += len(value)
                yield value
            elif kind == "said":
                log.log(*value)
            elif kind == "trouble":
                self.trouble = value
            elif kind == "ended":
                raise self.error or ProviderError(value)
            else:
                self.over = True
        self.feeder.join()
        if self.error:
            raise self.error
        if found < self.fed:
            lost = self.fed - found
            raise ProviderError(f"distilabel lost {lost} of {self.fed} samples: {self.trouble}")

    def _feed(self) -> None:
        numbered = enumerate(self.draws)
        try:
            while batch := list(islice(numbered, self.size)):
                self.fed += len(batch)
                self.connection.send(
                    [{"position": p, "prompt": d.prompt, "seed": d.seed} for p, d in batch]
                )
        except Exception as error:  # of the draws; a connection that broke is known elsewhere
            self.error = error
        with suppress(OSError):
            self.connection.send(None)

    def _receive(self) -> tuple[str, Any]:
        until = time.monotonic() + self.silence
        with suppress(EOFError, ConnectionError):
            while not self.connection.poll(POLL):
                if self.process.poll() is not None and not self.connection.poll():
                    break
                if time.monotonic() > until:  # distilabel itself would wait forever
                    raise ProviderError(
                        f"distilabel said nothing for {self.silence:.0f} s: a process or a node "
                        "was lost, or a cluster has no room"
                    )
            else:
                return self.connection.recv()  # type: ignore[no-any-return]
        code = self.process.wait()
        raise ProviderError(f"distilabel's process ended (exit code {code}): {self.trouble}")

    def close(self) -> None:
        if self.over:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.feeder.is_alive():
            self.feeder.join(POLL)
        self.connection.close()
        with suppress(OSError):
            self.folder.cleanup()
