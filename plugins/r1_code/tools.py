"""Where compilers and interpreters are, and what they need beside themselves."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path


@functools.cache
def find_tool(name: str) -> str:
    """Where a tool is, behind links and rustup's proxies; empty where it is not."""
    found = shutil.which(name)
    if found and Path(found).resolve().name == "rustup":
        found = _behind_proxy(found, name)
    return os.path.realpath(found) if found else ""


@functools.cache
def tool_paths(name: str) -> tuple[str, ...]:
    """The folder that a tool was installed into, and what its links point to outside of it.

    Debian keeps the settings of Java below /etc, and links to them. What is below /usr is readable
    anyhow; of a folder that holds more than the tool (a home), only the tool is.
    """
    tool = Path(find_tool(name))
    prefix = tool.parents[1]
    if prefix in (Path("/"), Path("/usr"), Path("/usr/local")):
        return ()
    if Path(os.environ.get("HOME", "/")).is_relative_to(prefix) or prefix.name == ".local":
        return (str(tool),)
    linked = {path.resolve().parent for path in prefix.glob("conf/**/*") if path.is_symlink()}
    return (str(prefix), *sorted(str(path) for path in linked if prefix not in path.parents))


def _behind_proxy(proxy: str, name: str) -> str | None:
    try:
        asked = [proxy, "--print", "sysroot"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None  # no toolchain is installed
    return shutil.which(name, path=f"{told.strip()}/bin")


@functools.cache
def identity(name: str) -> str:
    """What changes when a tool is replaced by another version, without running it."""
    path = find_tool(name)
    about = os.stat(path)  # noqa: PTH116
    return f"{path}:{about.st_size}:{about.st_mtime_ns}"
