"""An environment with LightEval, made with uv when it is first needed and kept."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

from r1cli import MissingExtra, ProviderError, cache_folder, disk_errors, ui

SOURCES = ("UV_TORCH_BACKEND", "UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
"""Where one of these is set, the user has said where packages, torch among them, come from."""

BESIDE = ("xxhash<4",)
"""LightEval 0.13 bounds it from below only, and its pipeline hashes text, which 4 refuses."""


def environment(version: str) -> Path:
    """The Python of the environment that has this version of LightEval, made now if need be.

    It is made beside its place and renamed when it is whole. Raises MissingExtra without uv, and
    ProviderError with uv's own reason where it cannot be made.
    """
    folder = cache_folder("environments") / f"lighteval-{version}"
    python = folder / "bin" / "python"
    if python.exists():
        return python
    uv = _uv()
    with disk_errors(folder), _alone(folder):
        if not python.exists():  # another process may have made it while this one waited
            _make(uv, folder, version)
    return python


def _make(uv: str, folder: Path, version: str) -> None:
    ui.say(f"r1: making an environment for LightEval {version}, once; about 2 GB in {folder}")
    beside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)  # what a killed process left
    try:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(beside)], version)
        # Bytecode now: without it, each start would take twenty seconds instead of eight.
        install = [uv, "pip", "install", "--compile-bytecode", *_torch_from()]
        install += ["--python", str(beside / "bin" / "python")]
        _run([*install, f"lighteval=={version}", *_torch(), *BESIDE], version)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _uv() -> str:
    """The program uv: on the path, or as the package of that name."""
    if found := shutil.which("uv"):
        return found
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        raise MissingExtra(
            "LightEval needs an environment of its own, which uv makes, and there is no uv here; "
            "run: pip install uv"
        ) from None


def _torch_from() -> list[str]:
    """LightEval imports torch and computes nothing with it here: no gigabytes for a GPU."""
    return [] if any(os.environ.get(name) for name in SOURCES) else ["--torch-backend", "cpu"]


def _torch() -> list[str]:
    """The torch that is installed here: it can be had, which the newest cannot everywhere."""
    try:
        return [f"torch=={installed('torch').partition('+')[0]}"]
    except PackageNotFoundError:
        return []


def _run(command: list[str], version: str) -> None:
    """Run uv, its progress on stderr; raise ProviderError with its reason."""
    lines = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line.strip())
            if line[:1].isupper():  # not the errors, nor the indented line of each package
                ui.say(f"uv: {lines[-1]}")
    if process.returncode:
        raise ProviderError(
            f"uv could not make the environment for LightEval {version}, which needs the network "
            f"or a mirror (UV_DEFAULT_INDEX, UV_FIND_LINKS) the first time: {_reason(lines)}"
        )


def _reason(lines: list[str]) -> str:
    """What uv calls the error, and the last of its causes."""
    marked = re.compile(r"(?:(error)|cause|caused by): (.*)", re.IGNORECASE)
    found = [match for match in map(marked.match, lines) if match]
    errors = [match[2] for match in found if match[1]]
    causes = [match[2] for match in found if not match[1]]
    said = [*errors[:1], *causes[-1:]] or [line for line in lines if line][-1:]
    return "; ".join(said) or "it ended without a word"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time makes the folder; the lock of a killed one is gone with it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
