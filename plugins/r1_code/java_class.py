"""Which class of a Java source names its file, and which one is started."""

from __future__ import annotations

import functools
import re

# Bounded and within a line, so that no source makes them slow.
NAME = r"([A-Za-z_$][\w$]{0,99})\b"
PUBLIC_CLASS = re.compile(
    rf"^[ \t]*public[ \t]+(?:\w+[ \t]+){{0,4}}(?:class|record|enum|interface)[ \t]+{NAME}", re.M
)
TOP_CLASS = re.compile(rf"^(?:(?:final|abstract)[ \t]+){{0,2}}class[ \t]+{NAME}", re.M)
MAIN = re.compile(r"\bvoid[ \t]+main[ \t]*\(")
PACKAGE = re.compile(r"^[ \t]*package[ \t]+([\w.]{1,200})[ \t]*;", re.M)


@functools.lru_cache(maxsize=64)
def java_class(source: str) -> tuple[str, str]:
    """The class that names the file, and the one to start, which is in a package if that is."""
    public = PUBLIC_CLASS.search(source)
    file = public[1] if public else "Main"
    start = file
    if not public and (main := MAIN.search(source)):
        start = ([found[1] for found in TOP_CLASS.finditer(source, 0, main.start())] or ["Main"])[
            -1
        ]
    package = PACKAGE.search(source)
    return file, f"{package[1]}.{start}" if package else start
