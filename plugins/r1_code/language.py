"""How programs of one language become processes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from r1_code.ahead import Ahead
from r1_code.java_class import java_class
from r1_code.tools import find_tool, tool_paths

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
MAX_STACK_MB = 256
THREAD_STACK_MB = 8
STARTS_THREADS = re.compile(r"<thread>|<future>|<pthread\.h>|\bstd::(?:j?thread|async)\b")


@dataclass(frozen=True)
class Language:
    """How programs of one language become processes; `names` are all that it is called by.

    Commands name tools as `needs` does, which says what brings each. `{source}` (a file name),
    `{main}` (a Java class) and `{memory}` (MB) are filled in. `makes` is what the compiler leaves,
    `ahead` what it need not do for each program. `warm` programs are run by the interpreter that
    this is.

    `stack_mb` is the main thread's; None is as much as the program's memory, up to 256 MB, and 8 MB
    where it starts threads, as each gets as much and RLIMIT_DATA counts it. `runtime_mb` is what a
    virtual machine takes beside its heap. `processes` are had without being asked for: a shell
    without them is none.
    """

    names: Sequence[str]
    source: str
    needs: Mapping[str, str]
    run: Sequence[str]
    compile: Sequence[str] = ()
    makes: str = "program"
    environment: Mapping[str, str] = field(default_factory=dict)
    stack_mb: int | None = None
    runtime_mb: int = 0
    processes: int = 0
    ahead: Ahead | None = None
    warm: bool = False

    @property
    def name(self) -> str:
        return self.names[0]

    def lacking(self) -> str:
        """The missing tool and what brings it, in one line; empty where all are here."""
        for tool, package in self.needs.items():
            if not find_tool(tool):
                return f"it needs {tool}, which is not installed; {package}"
        return ""

    def source_name(self, source: str) -> str:
        return f"{java_class(source)[0]}.java" if self.name == "java" else self.source

    def command(self, words: Sequence[str], source: str, memory_mb: int = 0) -> list[str]:
        """`compile` or `run` with absolute paths of tools and all else filled in."""
        main = java_class(source)[1] if self.name == "java" else ""
        name = self.source_name(source)
        argv = [word.format(source=name, main=main, memory=memory_mb) for word in words]
        return [find_tool(word) if word in self.needs else word for word in argv]

    def stack(self, source: str, memory_mb: int) -> int:
        """MB of the main thread's stack."""
        if self.stack_mb is not None:
            return self.stack_mb
        return THREAD_STACK_MB if STARTS_THREADS.search(source) else min(memory_mb, MAX_STACK_MB)

    def readable(self) -> list[str]:
        """Host paths that the tools need, beside the system's libraries."""
        return sorted({path for tool in self.needs for path in tool_paths(tool)})


def source_bytes(source: str) -> bytes:
    """A source as its file holds it.

    Surrogates that stand for undecodable bytes become those bytes again. Others, which no UTF-8
    holds (a JSON escape cut in two), are joined where they can be, or become U+FFFD.
    """
    try:
        return source.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return source.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
