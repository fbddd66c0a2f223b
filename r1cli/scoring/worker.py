"""A worker: a process of its own that calls rewards and may be killed at any time.

It is started clean (no torch, no fork of the trainer), reads calls from its first pipe and writes
replies to its second. Frames are a length of 8 bytes and a pickle.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from r1cli.scoring.judge import Reply, judge
from r1cli.scoring.reward import BoundReward, RewardError

HEAD = struct.Struct("<Q")
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Load:
    """A reward that calls will name by its number; `modules` are those its calls import."""

    reward: int
    definition: bytes
    modules: Sequence[str]


def frame(message: Any) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEAD.pack(len(body)) + body


def main() -> None:
    """Serve until the pipe closes. Arguments: the pid of the parent, the limit in bytes."""
    _die_with(int(sys.argv[1]))
    calls, replies = _take_pipes()
    with contextlib.suppress(OSError):
        # Where memory runs out all the same, the kernel is to take this process, not the trainer.
        Path("/proc/self/oom_score_adj").write_text("1000")
    _limit(int(sys.argv[2]))
    own = os.getpid()
    rewards: dict[int, BoundReward] = {}
    known = set(sys.modules)
    _write(replies, frame(Reply("outcomes")))
    while (call := _read(calls)) is not None:
        if isinstance(call, Load):
            loaded = _load(call)
            known.update(sys.modules)
            if isinstance(loaded, BoundReward):
                rewards[call.reward], loaded = loaded, Reply("outcomes")
            _write(replies, frame(loaded))
            continue
        key, samples = call
        reward = rewards[key]
        reply = judge(reward, [pickle.loads(sample) for sample in samples])  # noqa: S301 - ours
        if os.getpid() != own:
            os._exit(1)  # a fork that the reward made and did not end; only one may answer
        if len(sys.modules) != len(known):
            fresh = [name for name in sys.modules if name not in known]
            known.update(fresh)
            reply = Reply(**{**vars(reply), "modules": fresh})
        try:
            answer = frame(reply)
        except Exception:  # a plugin's own kind of error that does not pickle
            answer = frame(Reply("bug", error=RewardError(str(reply.error))))
        _write(replies, answer)


def _load(message: Load) -> BoundReward | Reply:
    """The reward, or why it cannot be had in this process."""
    try:
        reward = pickle.loads(message.definition)  # noqa: S301 - ours
    except BaseException as error:
        return Reply("unloadable", reason=f"{type(error).__name__}: {error}")
    for name in message.modules:
        with contextlib.suppress(BaseException):  # what cannot be had now may never be wanted
            importlib.import_module(name)
    assert isinstance(reward, BoundReward)
    return reward


def _die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL when the thread that started this process ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit()


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes, moved away from stdin and stdout: a reward may print, and may not read."""
    calls, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return os.fdopen(calls, "rb"), os.fdopen(replies, "wb", buffering=0)


def _limit(memory: int) -> None:
    """Bound the private memory (RLIMIT_DATA counts what is written to, not what is mapped)."""
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, hard = resource.getrlimit(kind)
    bound = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (bound, bound))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(pipe: BinaryIO) -> Any:
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    return pickle.loads(pipe.read(HEAD.unpack(head)[0]))  # noqa: S301 - from our own parent


def _write(pipe: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) :]
