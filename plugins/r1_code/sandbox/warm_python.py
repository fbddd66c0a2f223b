"""Python source run in a process that was forked, as `python main.py` would run it."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import linecache
import os
import random
import sys
import threading
import traceback
import types
from collections.abc import Mapping, Sequence

NAME = "main.py"

PRELOADED = [
    "array",
    "bisect",
    "cmath",
    "collections",
    "collections.abc",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "io",
    "itertools",
    "json",
    "linecache",
    "math",
    "operator",
    "os",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "sys",
    "textwrap",
    "threading",
    "time",
    "traceback",
    "typing",
]
"""What most programs import, and what their errors need."""


_hidden: list[types.ModuleType] = []
_environment: Mapping[str, str] = {}


def make_ready(environment: Mapping[str, str]) -> None:
    """What every program needs and none would make otherwise, before any is forked."""
    global _environment
    _standard_streams()
    os.environ.clear()
    os.environ.update(environment)
    _environment = environment
    own = [name for name in sys.modules if name.partition(".")[0] == "sandbox"]
    _hidden.extend(sys.modules.pop(name) for name in own)


def compiled(source: bytes) -> types.CodeType:
    return compile(source, NAME, "exec", dont_inherit=True)


def main_module(
    source: bytes, argv: Sequence[str], environment: Mapping[str, str]
) -> types.ModuleType:
    """For source that is to be run in processes that are forked from here, in this folder."""
    for name in _environment.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if _environment.get(name) != value:
            os.environ[name] = value
    sys.argv = list(argv) or [NAME]
    sys.path.insert(0, os.getcwd())
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=NAME, __builtins__=__builtins__, __cached__=None)
    sys.modules["__main__"] = main
    text = source.decode(errors="replace")
    linecache.cache[NAME] = len(text), None, text.splitlines(keepends=True), NAME
    return main


def run(code: types.CodeType | Exception, main: types.ModuleType, *, draws: bool) -> None:
    """Never returns. Descriptors 0, 1 and 2 are the program's, all at their beginning.

    `draws`: it may use random numbers, which must be other ones in every process.
    """
    if draws:
        random.seed()
    gc.enable()
    os._exit(_end(_outcome(code, main)))


def _outcome(code: types.CodeType | Exception, main: types.ModuleType) -> int:
    try:
        if isinstance(code, Exception):
            raise code
        exec(code, main.__dict__)  # noqa: S102
    except SystemExit as asked:
        return _exit_code(asked)
    except BaseException as error:
        # Not our own frame, which a real traceback would not have.
        frames = error.__traceback__ and error.__traceback__.tb_next
        return _reported(error.with_traceback(frames))
    return 0


def _reported(error: BaseException) -> int:
    try:
        if sys.excepthook is sys.__excepthook__:
            traceback.print_exception(error)  # the other one wants the source to be a file
        else:
            sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as asked:
        return _exit_code(asked)
    except BaseException:
        sys.__excepthook__(type(error), error, error.__traceback__)
    return 1


def _exit_code(asked: SystemExit) -> int:
    if asked.code is None:
        return 0
    if isinstance(asked.code, int):
        return asked.code & 255
    with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or something else
        sys.stderr.write(f"{asked.code}\n")
    return 1


def _end(code: int) -> int:
    """What the interpreter does at its end: wait for threads, call what was asked for, flush."""
    try:
        if threading.active_count() > 1 or threading._threading_atexits:  # type: ignore[attr-defined]
            threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        code = code or 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError):
            pass  # replaced or closed by the program
        except BaseException:
            code = code or 120
    return code


def _standard_streams() -> None:
    def opened(fd: int, mode: str, name: str, errors: str, by_line: bool) -> io.TextIOWrapper:
        raw = io.FileIO(fd, mode, closefd=False)
        buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
        text = io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=by_line)
        raw.name, text.mode = name, mode  # type: ignore[misc]
        return text

    # As under the C.UTF-8 locale. The descriptors themselves will be others by the time of use.
    sys.stdin = sys.__stdin__ = opened(0, "r", "<stdin>", "surrogateescape", False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = opened(1, "w", "<stdout>", "surrogateescape", False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = opened(2, "w", "<stderr>", "backslashreplace", True)  # type: ignore[misc]
