"""What of the host every sandbox may read and execute: the system's programs, and this Python."""

from __future__ import annotations

import os
import sys

SYSTEM = (
    "/usr",
    "/lib",
    "/lib32",
    "/libx32",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",  # node reads it as it starts
)
# Not /dev/zero: a shared mapping of it is memory that no limit counts.
DEVICES = ("/dev/null", "/dev/urandom", "/dev/random", "/dev/full")


def python_paths() -> list[str]:
    """This interpreter and its standard library, wherever they were installed."""
    folders = [os.path.realpath(os.path.join(sys.base_prefix, name)) for name in ("bin", "lib")]
    own = [os.path.dirname(os.path.realpath(path)) for path in (sys.executable, os.__file__)]
    return [path for path in dict.fromkeys([*folders, *own]) if not path.startswith("/usr/")]
