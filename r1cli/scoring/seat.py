"""One place in the pool: the worker that sits there, the call it has, when its answer is due."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from r1cli.scoring.judge import Reply
from r1cli.scoring.process import Process
from r1cli.scoring.worker import Load

START_SECONDS = 60.0
FIRST_CALL_SECONDS = 20.0  # more, for the imports that a reward makes when it is first called;
# later workers make them before the clock starts


@dataclass(eq=False)
class Call:
    """Samples for one reward; the reply is put, with the call, into `answers`."""

    reward: int
    samples: Sequence[bytes]
    home: int  # calls of one problem share a worker where that costs no waiting
    seconds: float
    answers: queue.SimpleQueue[tuple[Call, Reply]]
    about: Any = None

    def answer(self, reply: Reply) -> None:
        self.answers.put((self, reply))


class Seat:
    """One worker after the other; each is sent a reward before its first call of it.

    `definitions` are the pickled rewards that calls refer to; `modules`, which all seats share, is
    what the calls of each were seen to import.
    """

    def __init__(
        self, definitions: Sequence[bytes], modules: dict[int, dict[str, None]], memory: int
    ) -> None:
        self._definitions, self._modules, self._memory = definitions, modules, memory
        self.process: Process | None = None
        self.call: Call | None = None
        self.ready = False  # whether the worker has said that it is there
        self._loading = False
        self._loaded: set[int] = set()
        self.deadline = self.limit = 0.0

    @property
    def busy(self) -> bool:
        """Whether the worker owes an answer by the `deadline`."""
        return self.call is not None or not self.ready

    def start(self) -> None:
        self.process = Process(self._memory)
        self.ready, self._loading, self._loaded = False, False, set()
        self._wait(START_SECONDS)

    def give(self, call: Call) -> None:
        assert self.process
        self.call, self._loading = call, call.reward not in self._loaded
        if self._loading:
            modules = list(self._modules.get(call.reward, ()))
            self.process.send(Load(call.reward, self._definitions[call.reward], modules))
            self._wait(START_SECONDS)
        else:
            self._ask(call)

    def _ask(self, call: Call) -> None:
        assert self.process
        self.process.send((call.reward, call.samples))
        known = call.reward in self._modules
        self._wait(call.seconds if known else call.seconds + FIRST_CALL_SECONDS)

    def _wait(self, seconds: float) -> None:
        self.limit, self.deadline = seconds, time.monotonic() + seconds

    def hear(self, *, last: bool = False) -> bool:
        """Take in a reply if one is whole; True where it says that the worker is there.

        Raises EOFError when the worker is gone; `last` says that it is, but for what it left.
        """
        assert self.process
        reply = self.process.receive()
        if reply is None and last:
            raise EOFError
        if reply is None:
            return False
        if self.call is None:
            self.ready = True
            return True
        if self._loading and reply.ending != "unloadable":
            self._loading = False
            self._loaded.add(self.call.reward)
            self._ask(self.call)
            return False
        call, self.call = self.call, None
        if reply.ending == "outcomes":
            self._modules.setdefault(call.reward, {}).update(dict.fromkeys(reply.modules))
        call.answer(reply)
        if reply.reason.startswith("memory"):  # what it holds may not be free again
            self.process.kill()
            self.process = None
        return False

    def flush(self) -> None:
        """Send on what the pipe had no room for."""
        if self.process:
            self.process.flush()

    def leave(self, reason: str) -> None:
        """The worker is gone; its call is answered with `reason`."""
        self.process, call, self.call = None, self.call, None
        if call:
            call.answer(Reply("failed", reason=reason))
