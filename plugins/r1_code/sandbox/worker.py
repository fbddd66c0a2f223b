"""One zygote as its parent sees it: started, given tasks, ended, and known to be dead at once."""

from __future__ import annotations

import asyncio
import json
import marshal
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from r1_code.sandbox.collecting import Collected
from r1_code.sandbox.folders import remove_tree

START_SECONDS = 60.0
END_SECONDS = 5.0
_HERE = Path(__file__).resolve().parent
_START = "import sys; sys.path.insert(0, {!r}); from sandbox import zygote; del sys.path[0]; "
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    # Threads of a library would not survive a fork.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class Worker:
    """`load` is the number of tasks it has. Belongs to one event loop."""

    def __init__(self, level: str, site: str = "") -> None:
        self.level, self.site = level, site
        self.load = 0
        self.dead = False
        self._running: dict[int, Collected] = {}
        self._count = 0

    async def start(self) -> Worker:
        """Raises OSError where the level does not work here."""
        loop = asyncio.get_running_loop()
        self._folder = tempfile.mkdtemp(prefix="r1-sandbox-")
        os.chmod(self._folder, 0o711)  # noqa: S103 - programs pass through, and may not look
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        life = os.pidfd_open(os.getpid())
        given = {
            "level": self.level,
            "scratch": self._folder,
            "site": self.site,
            "fd": theirs.fileno(),
            "life": life,
        }
        # -E would ignore PYTHONHASHSEED; the environment is our own anyway.
        python = [os.path.realpath(sys.executable), "-s", "-S", "-P", "-c"]
        code = _START.format(str(_HERE.parent)) + "zygote.main()"
        try:
            # A session of its own: Ctrl-C is the parent's to hear.
            self._process = subprocess.Popen(
                [*python, code, json.dumps(given)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_ENVIRONMENT,
                pass_fds=[theirs.fileno(), life],
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(life)
        self._socket.setblocking(False)
        try:
            async with asyncio.timeout(START_SECONDS):
                hello = await loop.sock_recv(self._socket, 1 << 16)
        except TimeoutError:
            hello = b""
        error = json.loads(hello)["error"] if hello else "the sandbox's process did not start"
        if error:
            await self.stop()
            raise OSError(error)
        loop.add_reader(self._socket, self._gone)
        return self

    def run(self, task: int, index: int, about: dict[str, Any], collected: Collected) -> int:
        """Sends a task (a descriptor), to be run from an input on. Returns its number here."""
        read, write = os.pipe()
        self._count += 1
        message = {"run": self._count, "index": index, **about}
        collected.listen(read)
        self._running[self._count] = collected
        try:
            socket.send_fds(self._socket, [marshal.dumps(message)], [task, write])
        except OSError:
            self._gone()
        finally:
            os.close(write)
        return self._count

    def alive(self) -> bool:
        """Asks the kernel: the end may be known there before the loop comes to tell of it."""
        if not self.dead:
            try:
                self._socket.recv(1, socket.MSG_PEEK)
                self._gone()
            except BlockingIOError:
                return True
            except OSError:
                self._gone()
        return False

    def done(self, number: int) -> None:
        """The task is over, or nobody wants its result any more."""
        collected = self._running.pop(number, None)
        if collected and not collected.over and not self.dead:
            try:
                self._socket.send(marshal.dumps({"kill": number}))
            except OSError:
                self.kill()
        if collected:
            collected.close()

    def kill(self) -> None:
        """For one that does not listen any more."""
        self._process.kill()

    async def stop(self) -> None:
        """Ends it and all that it runs, and waits until nothing is left."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self.dead = True
        self._socket.close()
        try:
            await asyncio.to_thread(self._process.wait, END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        remove_tree(self._folder)
        for collected in self._running.values():
            collected.fail("the sandbox was closed")

    def _gone(self) -> None:
        """It ended without being asked to: nothing else makes the socket readable."""
        if self.dead:
            return
        self.dead = True
        asyncio.get_running_loop().remove_reader(self._socket)
        for collected in self._running.values():
            collected.fail("the sandbox's process was ended from outside")
        self._running.clear()
