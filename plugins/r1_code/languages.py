"""The languages that run here: what compiles and runs each, what brings its tools."""

from __future__ import annotations

import re
from collections.abc import Sequence

from r1_code.ahead import Ahead
from r1_code.language import Language

JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
STDCXX = "{folder}/bits/stdc++.h.gch"
INCLUDES_ALL = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]bits/stdc\+\+\.h[>\"]", re.M)
GO_LIBRARY = """package main
import (
    _ "bufio"; _ "bytes"; _ "container/heap"; _ "container/list"; _ "errors"; _ "fmt"; _ "io"
    _ "io/ioutil"; _ "math"; _ "math/big"; _ "math/bits"; _ "math/cmplx"; _ "math/rand"; _ "os"
    _ "reflect"; _ "regexp"; _ "sort"; _ "strconv"; _ "strings"; _ "sync"; _ "sync/atomic"
    _ "time"; _ "unicode"; _ "unicode/utf8"
)
func main() {}
"""


def _cpp(names: Sequence[str], standard: str) -> Language:
    flags = ("-O2", f"-std=gnu++{standard}", "-pthread")
    return Language(
        names=names,
        source="main.cpp",
        needs={"g++": "apt-get install g++"},
        compile=("g++", *flags, "-o", "program", "{source}"),
        run=("./program",),
        # Half of what compiling such a program takes; 100 MB of disk.
        ahead=Ahead(
            when=INCLUDES_ALL,
            source="all.h",
            text="#include <bits/stdc++.h>\n",
            command=("g++", *flags, "-xc++-header", "{source}", "-o", STDCXX),
            inside="bits",
            words=("-I", "{folder}"),
        ),
    )


LANGUAGES = (
    Language(
        names=("python", "python3", "py"),
        source="main.py",
        needs={},
        warm=True,
        run=("{source}",),
        stack_mb=16,
    ),
    _cpp(("cpp", "c++", "cpp17", "c++17"), "17"),
    _cpp(("cpp20", "c++20"), "20"),
    Language(
        names=("c",),
        source="main.c",
        needs={"gcc": "apt-get install gcc"},
        compile=("gcc", "-O2", "-pthread", "-o", "program", "{source}", "-lm"),
        run=("./program",),
    ),
    Language(
        names=("javascript", "js", "node"),
        source="main.js",
        needs={"node": "apt-get install nodejs"},
        run=("node", "--max-old-space-size={memory}", "{source}"),
        stack_mb=16,
        runtime_mb=128,
    ),
    Language(
        names=("java",),
        source="Main.java",
        needs=dict.fromkeys(("javac", "java"), "apt-get install default-jdk-headless"),
        compile=(
            *("javac", *(f"-J{flag}" for flag in JAVA), "-J-Xmx512m"),
            *("-nowarn", "-encoding", "UTF-8", "-d", ".", "{source}"),
        ),
        makes="*",
        # -Xss is read by the launcher for the main thread, ThreadStackSize by the machine for its
        # own ten threads, of which RLIMIT_DATA counts every stack whole.
        run=(
            *("java", *JAVA, "-Xss64m", "-XX:ThreadStackSize=1024"),
            *("-Xmx{memory}m", "-cp", ".", "{main}"),
        ),
        stack_mb=16,
        runtime_mb=256,
    ),
    Language(
        names=("go", "golang"),
        source="main.go",
        needs={"go": "apt-get install golang-go"},
        compile=("go", "build", "-o", "program", "{source}"),
        # Nine seconds of what compiling any program takes since Go 1.20; 60 MB of disk.
        ahead=Ahead(
            when=re.compile(""),
            source="all.go",
            text=GO_LIBRARY,
            command=("go", "build", "-o", "/dev/null", "{source}"),
            environment={"GOCACHE": "{folder}"},
        ),
        environment={
            "CGO_ENABLED": "0",
            "GO111MODULE": "off",
            "GOPROXY": "off",
            "GOTELEMETRY": "off",
            "GOTOOLCHAIN": "local",
        },
        run=("./program",),
        stack_mb=16,
        runtime_mb=64,
    ),
    Language(
        names=("rust", "rs"),
        source="main.rs",
        needs={
            "rustc": "apt-get install rustc, or https://rustup.rs",
            "cc": "apt-get install gcc",
        },
        compile=("rustc", "--crate-type=bin", "--edition=2021", "-O", "-o", "program", "{source}"),
        run=("./program",),
    ),
    Language(
        names=("bash", "sh"),
        source="main.sh",
        needs={"bash": "apt-get install bash"},
        run=("bash", "{source}"),
        stack_mb=16,
        processes=8,
    ),
)

BY_NAME = {name: language for language in LANGUAGES for name in language.names}


def missing_languages() -> dict[str, str]:
    """Every name of a language whose tools are not all installed, and what would bring them."""
    return {name: why for name, language in BY_NAME.items() if (why := language.lacking())}
