"""The local sandbox against bare processes and against how others run model code, in one run.

    python benchmarks/sandbox.py [--seconds 5] [--leak-runs 10000]

Rates of a program that adds two numbers: a loop of bare `python -I -S`, the same isolated, and a
warm interpreter; then 16 programs x 20 tests in Python and C++ against a loop of bare processes
(g++ once per program), and against the way of open-r1 (a script that starts `python3 -c` for every
case) and of SandboxFusion (a temporary folder, a file and a shell for every case), neither with the
network or the service around it, so both are faster here than in life.

The sandbox uses all cores, as it does in use; a loop uses one. Where a row says "on all cores", as
many loops run as there are cores: the ratio to that row is what the sandbox does better per core.
What is compared is measured in turns, several times, and the best of each counts: other jobs on
the machine are in the way of all alike. `--leak-runs` looks for what is left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from r1_code.sandbox.client import Sandboxes
from r1_code.sandbox.task import Bounds, Task
from r1cli import CodeService, Input, Limits, Program, ui
from r1cli.code.opening import code_service
from r1cli.plugins import builtin_plugins
from r1cli.recipe import Component

PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
SUM = "a, b = map(int, input().split())\nprint(a + b)\n"
SUM_CPP = """#include <bits/stdc++.h>
using namespace std;
int main() { long a, b; cin >> a >> b; cout << a + b << endl; }
"""
PROGRAMS, TESTS = 16, 20
CORES = len(os.sched_getaffinity(0))


def cases(count: int) -> list[bytes]:
    return [b"%d 7\n" % number for number in range(count)]


def rate(call: Callable[[int], int], seconds: float) -> float:
    """Runs per second; `call(n)` makes some, the n-th time, and says how many."""
    call(0)
    started, made, number = time.perf_counter(), 0, 1
    while time.perf_counter() - started < seconds:
        made, number = made + call(number), number + 1
    return made / (time.perf_counter() - started)


def checked(outputs: list[bytes]) -> int:
    assert [o.split() for o in outputs] == [[b"%d" % (n + 7)] for n in range(len(outputs))], outputs
    return len(outputs)


def best_rates(
    calls: Mapping[str, Callable[[int], int]], seconds: float, rounds: int = 5
) -> dict[str, float]:
    """Runs per second of each."""
    rates = [
        {name: rate(call, seconds / rounds) for name, call in calls.items()} for _ in range(rounds)
    ]
    return {name: max(one[name] for one in rates) for name in calls}


def bare(argv: list[str], texts: list[bytes], loops: int) -> list[bytes]:
    """One process after the other, in so many loops side by side."""
    with ThreadPoolExecutor(loops) as pool:
        done = pool.map(lambda t: subprocess.run(argv, input=t, capture_output=True), texts)
        return [d.stdout for d in done]


def single_runs(code: CodeService, folder: Path, seconds: float) -> list[dict[str, Any]]:
    file = folder / "main.py"
    file.write_text(SUM)

    async def cold(sandboxes: Sandboxes) -> list[bytes]:
        bounds = Bounds(5, 11, 512, 16, 1 << 20, 16)
        tasks = [
            Task(
                bounds,
                [PYTHON, "-I", "-S", "main.py"],
                files={"main.py": SUM.encode()},
                inputs=[Input(text)],
            )
            for text in cases(16)
        ]
        done = await asyncio.gather(*(sandboxes.run(task) for task in tasks))
        return [d.endings[0].stdout for d in done]

    def warm(_: int) -> int:
        mark = time.time_ns()  # no result is in a cache
        programs = [
            Program("python", f"{SUM}# {mark} {i}", [Input(t)]) for i, t in enumerate(cases(32))
        ]
        return checked([r.executions[0].stdout for r in code.run(programs)])

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def on_loop(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    sandboxes = on_loop(Sandboxes().__aenter__())
    argv = [PYTHON, "-I", "-S", str(file)]
    calls: dict[str, Callable[[int], int]] = {
        "a loop of bare python -I -S": lambda _: checked(bare(argv, cases(16), 1)),
        "the same on all cores": lambda _: checked(bare(argv, cases(16), CORES)),
        "isolated, cold": lambda _: checked(on_loop(cold(sandboxes))),
        "isolated, warm": warm,
    }
    speeds = best_rates(calls, seconds)
    on_loop(sandboxes.__aexit__(None, None, None))
    loop.call_soon_threadsafe(loop.stop)
    base = speeds["a loop of bare python -I -S"]
    return [
        {"python, one run": n, "runs/s": round(s), "times the loop": f"{s / base:.2f}"}
        for n, s in speeds.items()
    ]


def open_r1_way(source: str, texts: list[bytes]) -> list[bytes]:
    """`python3 -c` per case, 5 s each, one after the other: what its script does in its sandbox."""
    return [
        subprocess.run([PYTHON, "-c", source], input=t, capture_output=True, timeout=5).stdout
        for t in texts
    ]


def fusion_way(source: str, texts: list[bytes]) -> list[bytes]:
    """A temporary folder, the file in it, `bash -c` with RLIMIT_AS per case: its mode `none`."""
    outputs = []
    for text in texts:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "tmp.py"
            file.write_text(source)
            command = f"ulimit -v 4194304; exec {PYTHON} {file}"
            done = subprocess.run(["bash", "-c", command], input=text, capture_output=True)
            outputs.append(done.stdout)
    return outputs


def many_tests(code: CodeService, folder: Path) -> list[dict[str, Any]]:
    """16 completions of one problem, 20 tests: all different in Python, all the same in C++."""
    texts = cases(TESTS)
    inputs = [Input(text) for text in texts]
    limits = Limits(cpu_seconds=5)

    def ours(language: str, sources: list[str]) -> float:
        started = time.perf_counter()
        programs = [Program(language, source, inputs, limits=limits) for source in sources]
        for result in code.run(programs):
            checked([run.stdout for run in result.executions])
        return time.perf_counter() - started

    def loop_of(
        way: Callable[[str, list[bytes]], list[bytes]], sources: list[str], loops: int = 1
    ) -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(loops) as pool:
            for outputs in pool.map(lambda source: way(source, texts), sources):
                checked(outputs)
        return time.perf_counter() - started

    def plain(source: str, given: list[bytes]) -> list[bytes]:
        return [
            subprocess.run([PYTHON, "-c", source], input=t, capture_output=True).stdout
            for t in given
        ]

    def compiled(source: str, given: list[bytes]) -> list[bytes]:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            file, program = Path(place) / "main.cpp", Path(place) / "program"
            file.write_text(source)
            subprocess.run(["g++", "-O2", "-std=gnu++17", "-o", program, file], check=True)
            return [subprocess.run([program], input=t, capture_output=True).stdout for t in given]

    mark = time.time_ns()
    different = [f"{SUM}# {mark + i}" for i in range(PROGRAMS)]
    same = [f"{SUM_CPP}// {mark}"] * PROGRAMS
    ours("python", different[:1])
    code.run([Program("cpp", f"{SUM_CPP}// header {mark}", inputs)])  # the precompiled header
    ways: list[tuple[str, str, Callable[[int], float]]] = [
        ("python", "r1 local", lambda n: ours("python", [f"{s} r1 {n}" for s in different])),
        ("python", "loop of subprocess.run", lambda _: loop_of(plain, different)),
        ("python", "the same on all cores", lambda _: loop_of(plain, different, CORES)),
        ("python", "open-r1's way on all cores", lambda _: loop_of(open_r1_way, different, CORES)),
        ("python", "SandboxFusion's, likewise", lambda _: loop_of(fusion_way, different, CORES)),
        ("c++", "r1 local", lambda n: ours("cpp", [f"{s} {n}" for s in same])),
        ("c++", "loop of g++ and subprocess.run", lambda _: loop_of(compiled, same)),
        ("c++", "the same on all cores", lambda _: loop_of(compiled, same, CORES)),
    ]
    rounds = {"python": 3, "c++": 1}
    times: list[list[float]] = [[] for _ in ways]
    for number in range(max(rounds.values())):
        for place, (language, _, way) in enumerate(ways):
            if number < rounds[language]:
                times[place].append(way(number))
    rows = [(*way[:2], min(taken)) for way, taken in zip(ways, times, strict=True)]
    best = {language: seconds for language, name, seconds in rows if name == "r1 local"}
    return [
        {
            f"{PROGRAMS} programs x {TESTS} tests": language,
            "by": name,
            "seconds": round(seconds, 3),
            "tests/s": round(PROGRAMS * TESTS / seconds),
            "r1 is faster by": f"{seconds / best[language]:.1f}",
        }
        for language, name, seconds in rows
    ]


def left_behind() -> dict[str, int]:
    """What a run might leave. Other jobs on the machine count in what is the machine's."""
    statm = Path("/proc/self/statm").read_text().split()
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile
            parents[folder.name] = (folder / "stat").read_text().rpartition(")")[2].split()[1]
    below = [str(os.getpid())]
    for pid in below:
        below += [child for child, parent in parents.items() if parent == pid]
    zygotes = 0
    for pid in below[1:]:
        with contextlib.suppress(OSError):
            zygotes += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return {
        "processes below this one": len(below) - 1,
        "processes on the machine": len(parents),
        "mounts": len(Path("/proc/self/mounts").read_text().splitlines()),
        "cgroups": sum(1 for _ in Path("/sys/fs/cgroup").glob("**/r1-*")),
        "r1-* in /tmp and /dev/shm": sum(
            1 for place in ("/tmp", "/dev/shm") for _ in Path(place).glob("r1-*")
        ),
        "shm segments": len(Path("/proc/sysvipc/shm").read_text().splitlines()) - 1,
        "open files here": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "memory here, MB": int(statm[1]) * resource.getpagesize() >> 20,
        "memory of the zygotes, MB": zygotes * resource.getpagesize() >> 20,
    }


def leaks(code: CodeService, runs: int) -> list[dict[str, Any]]:
    def some(start: int, count: int) -> None:
        programs = [
            Program("python", f"{SUM}# leak {start} {i}", [Input(b"1 2")], limits=Limits(5))
            for i in range(count)
        ]
        assert all(r.executions[0].stdout == b"3\n" for r in code.run(programs))

    for start in range(0, 2000, 500):  # caches and thread pools fill up
        some(start, 500)
    before = left_behind()
    for start in range(2000, 2000 + runs, 500):
        some(start, 500)
    time.sleep(1)
    after = left_behind()
    return [{f"after {runs} runs": k, "before": before[k], "after": after[k]} for k in before]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--leak-runs", type=int, default=0)
    given = parser.parse_args()
    service = code_service(Component(name="local"), builtin_plugins(), where="the benchmark")
    with tempfile.TemporaryDirectory() as name, service as code:
        ui.say(f"{CORES} cores, isolation: {code.capabilities.isolation}")
        tables = [single_runs(code, Path(name), given.seconds), many_tests(code, Path(name))]
        for rows in tables:
            ui.table(rows, list(rows[0]))
        if given.leak_runs:
            rows = leaks(code, given.leak_runs)
            ui.table(rows, list(rows[0]))


if __name__ == "__main__":
    main()
