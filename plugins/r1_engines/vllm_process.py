"""vLLM's processes as children of `r1`: Ctrl-C is `r1`'s to hear, and they end where it does.

vLLM calls `follow` in each of its processes, as one of its general plugins. Without it an engine
would outlive an `r1` that was killed, and keep its GPU.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

LEADER = "R1_VLLM_LEADER"
"""The process id of the `r1` that is followed; another's vLLM is left alone."""


def lead() -> None:
    """Have the processes that vLLM starts from here follow this one."""
    os.environ[LEADER] = str(os.getpid())
    # A forked process has vLLM's plugins loaded already, and calls none.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")


def follow() -> None:
    """In a process of vLLM's: ignore SIGINT, and end by SIGKILL when the parent is gone."""
    parent = multiprocessing.parent_process()
    if parent is None or os.environ.get(LEADER, str(os.getpid())) == str(os.getpid()):
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_outlive_not, args=(parent,), daemon=True).start()


def _outlive_not(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


class _Interrupted(BaseException):
    """Ctrl-C under another name."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the loading of an engine: vLLM 0.32 drops a KeyboardInterrupt there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise _Interrupted

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except _Interrupted:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)
