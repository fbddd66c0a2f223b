"""Tasks in the sandbox: what a program is given, what comes back, and what is left behind."""

# ruff: noqa: PTH208

import asyncio
import hashlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from r1_code.sandbox.client import Sandboxes
from r1_code.sandbox.task import Bounds, Ending, Task, TaskResult
from r1cli import Input, ProviderError, UsageError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the local sandbox needs Linux")

BOUNDS = Bounds(
    cpu_seconds=5,
    wall_seconds=11,
    data_mb=256,
    stack_mb=16,
    output_bytes=1 << 16,
    disk_mb=16,
)


class Opened:
    """One `Sandboxes` for many tests, on a loop of its own."""

    def __init__(self, level: str | None = None, workers: int = 1) -> None:
        self.loop = asyncio.new_event_loop()
        self.sandboxes = Sandboxes(workers=workers, level=level)
        self.loop.run_until_complete(self.sandboxes.__aenter__())

    def __call__(self, *tasks: Task) -> list[TaskResult]:
        async def all_of_them() -> list[TaskResult]:
            return list(await asyncio.gather(*(self.sandboxes.run(task) for task in tasks)))

        return self.loop.run_until_complete(all_of_them())

    def close(self) -> None:
        self.loop.run_until_complete(self.sandboxes.__aexit__(None, None, None))
        self.loop.close()


@pytest.fixture(scope="module", params=["namespaces", "landlock"])
def run(request: pytest.FixtureRequest) -> Iterator[Opened]:
    try:
        opened = Opened(request.param)
    except ProviderError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


def python(source: str, *stdin: bytes, **changed: object) -> Task:
    return Task(BOUNDS, python=source, inputs=[Input(i) for i in stdin or (b"",)], **changed)


def ends(run: Opened, task: Task) -> list[Ending]:
    return list(run(task)[0].endings)


def test_each_input_is_a_process_of_its_own(run: Opened) -> None:
    task = python("import os\nx = globals().get('x', int(input())) + 1\nprint(x)", b"1", b"2", b"3")
    (result,) = run(task)
    assert [e.stdout for e in result.endings] == [b"2\n", b"3\n", b"4\n"]
    assert result.isolation == run.sandboxes.level
    for ending in result.endings:
        assert (ending.exit_code, ending.signal, ending.stderr) == (0, None, b"")
        assert 0 < ending.cpu_seconds < 1
        assert ending.peak_mb > 1


@pytest.mark.parametrize(
    ("source", "code", "stdout", "stderr"),
    [
        ("import sys; sys.exit()", 0, b"", b""),
        ("import sys; sys.exit(3)", 3, b"", b""),
        ("import sys; print('a', end=''); sys.exit('sorry')", 1, b"a", b"sorry\n"),
        ("print('kept'); import os, sys; sys.stdout.flush(); os._exit(4)", 4, b"kept\n", b""),
        ("print('lost', end=''); import os; os._exit(4)", 4, b"", b""),
        ("if __name__ == '__main__': print(__name__, __file__)", 0, b"__main__ main.py\n", b""),
        ("import atexit; atexit.register(print, 'last'); print('first')", 0, b"first\nlast\n", b""),
        ("import sys; print(sys.argv[1:])", 0, b"['a', 'b c']\n", b""),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\0')", 0, b"\xff\0", b""),
        ("import sys; print(sys.flags.hash_randomization)", 0, b"0\n", b""),
        ("import sandbox", 1, b"", b"ModuleNotFoundError: No module named 'sandbox'\n"),
        ("print(1", 1, b"", b"SyntaxError: '(' was never closed\n"),
        ("'" + "\0'", 1, b"", b"source code string cannot contain null bytes\n"),
        ("import os; print(os.environ['HELLO'])", 0, b"there\n", b""),
        ("import dataclasses, pickle\n@dataclasses.dataclass\nclass A:\n    x: int\n"
         "print(pickle.loads(pickle.dumps(A(1))))", 0, b"A(x=1)\n", b""),
        ("import asyncio\nasync def f(): print('ran')\nasyncio.run(f())", 0, b"ran\n", b""),
        ("import threading\nthreading.Thread(target=lambda: print('thread')).start()",
         0, b"thread\n", b""),
        ("import sqlite3, unittest, xml.dom.minidom; print('imported')", 0, b"imported\n", b""),
    ],
)  # fmt: skip
def test_python_ends_as_python_does(
    source: str, code: int, stdout: bytes, stderr: bytes, run: Opened
) -> None:
    task = python(source, argv=["main.py", "a", "b c"], environment={"HELLO": "there"})
    (ending,) = ends(run, task)
    assert (ending.exit_code, ending.stdout) == (code, stdout)
    assert ending.stderr.endswith(stderr) if stderr else ending.stderr == b""


def test_a_traceback_is_that_of_the_program(run: Opened) -> None:
    (ending,) = ends(run, python("def f():\n    return 1 / 0\nf()\n"))
    assert ending.stderr.decode().splitlines() == [
        "Traceback (most recent call last):",
        '  File "main.py", line 3, in <module>',
        "    f()",
        '  File "main.py", line 2, in f',
        "    return 1 / 0",
        "           ~~^~~",
        "ZeroDivisionError: division by zero",
    ]


def test_a_crash_is_that_input_s_alone(run: Opened) -> None:
    source = (
        "import sys, ctypes\n"
        "n = int(input())\n"
        "if n == 2: ctypes.string_at(0)\n"
        "sys.setrecursionlimit(10**7)\n"
        "x, y = [], []\n"
        "for _ in range(10**6 if n == 3 else 50): x, y = [x], [y]\n"
        "print(x == y)\n"
    )
    endings = ends(run, python(source, b"1", b"2", b"3", b"4"))
    assert [e.signal for e in endings] == [None, signal.SIGSEGV, signal.SIGSEGV, None]
    assert endings[0].stdout == endings[3].stdout == b"True\n"


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("import os; os.abort()", signal.SIGABRT),
        ("import signal; signal.raise_signal(signal.SIGTERM)", signal.SIGTERM),
        ("import os; os.kill(os.getpid(), 9)", signal.SIGKILL),
    ],
)
def test_the_signal_that_ended_a_program_is_told(source: str, number: int, run: Opened) -> None:
    (ending,) = ends(run, python(source))
    assert (ending.exit_code, ending.signal) == (None, number)


def test_random_numbers_are_other_ones_each_time(run: Opened) -> None:
    endings = ends(run, python("import random; print(random.random())", b"", b""))
    endings += ends(run, python("import random; print(random.random())"))
    assert len({ending.stdout for ending in endings}) == 3


def test_stop_at_failure(run: Opened) -> None:
    task = python("assert input() != '2'", b"1", b"2", b"3", stop_at_failure=True)
    assert [e.exit_code for e in ends(run, task)] == [0, 1]


def test_a_hundred_megabytes_of_stdin(run: Opened) -> None:
    data = os.urandom(1 << 20) * 100
    source = (
        "import hashlib, sys\nd = hashlib.md5()\n"
        "while chunk := sys.stdin.buffer.read(1 << 20): d.update(chunk)\nprint(d.hexdigest())"
    )
    (ending,) = ends(run, python(source, data))
    assert ending.stdout.decode().strip() == hashlib.md5(data).hexdigest()


def test_stdin_by_name_and_as_text(run: Opened) -> None:
    (ending,) = ends(run, python("print(open('/dev/stdin').read(), input)", b"by name"))
    assert ending.stdout.startswith(b"by name")
    (ending,) = ends(run, python("print(ascii(input()))", b"\xff\xc3\xa9\n"))
    assert ending.stdout == b"'\\udcff\\xe9'\n"


def test_files_of_a_task_and_of_an_input(run: Opened) -> None:
    source = "from helper import f; print(f(), open('in.txt').read())"
    task = Task(
        BOUNDS,
        python=source,
        files={"helper.py": b"def f(): return 'helped'"},
        inputs=[Input(files={"in.txt": b"1"}), Input(files={"in.txt": b"2"}), Input()],
    )
    endings = ends(run, task)
    assert [e.stdout for e in endings] == [b"helped 1\n", b"helped 2\n", b""]
    assert b"FileNotFoundError" in endings[2].stderr


def test_compiled_programs(run: Opened) -> None:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    source = b'#include <stdio.h>\nint main(){int a,b;scanf("%d%d",&a,&b);printf("%d",a+b);}'
    bounds = replace(BOUNDS, processes=16, data_mb=1024, disk_mb=64)
    argv = ["/usr/bin/gcc", "-O1", "main.c", "-o", "program"]
    compiling = Task(bounds, argv=argv, files={"main.c": source}, fetch=["program", "missing"])
    (made,) = run(compiling)
    assert made.endings[0].exit_code == 0, made.endings[0].stderr
    assert set(made.files) == {"program"}
    task = Task(BOUNDS, argv=["./program"], files=made.files, inputs=[Input(b"1 2"), Input(b"3 4")])
    assert [e.stdout for e in ends(run, task)] == [b"3", b"7"]


def test_what_cannot_be_started_is_no_fault_of_the_program(run: Opened) -> None:
    (ending,) = ends(run, Task(BOUNDS, argv=["/usr/bin/no-such-program"]))
    assert "No such file" in ending.broken


def test_numpy(run: Opened) -> None:
    pytest.importorskip("numpy")
    source = "import numpy as np\nprint(np.linalg.inv(np.eye(3)).trace(), np.random.rand() < 1)"
    (ending,) = ends(run, python(source))
    assert ending.stdout == b"3.0 True\n"
    assert ending.cpu_seconds < 0.5, "it was imported before"
    (ending,) = ends(run, python("try: import torch\nexcept ImportError: print('none')"))
    assert ending.stdout == b"none\n"


def test_many_at_once(run: Opened) -> None:
    tasks = [python(f"print({n})", b"", b"") for n in range(40)]
    results = run(*tasks)
    assert [[e.stdout for e in r.endings] for r in results] == [
        [f"{n}\n".encode()] * 2 for n in range(40)
    ]


def test_a_task_that_nobody_waits_for_is_ended(run: Opened) -> None:
    async def leave() -> None:
        task = asyncio.ensure_future(run.sandboxes.run(python("while True: pass")))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run.loop.run_until_complete(leave())
    assert ends(run, python("print('free')"))[0].stdout == b"free\n"


def test_descriptors_are_given_back(run: Opened) -> None:
    run(python("print()"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        run(*[python("print()", b"", b"")] * 4)
    assert len(os.listdir("/proc/self/fd")) == before


def _in_a_process(queue) -> None:  # type: ignore[no-untyped-def]
    opened = Opened()
    queue.put(opened(python("print('rank')"))[0].endings[0].stdout)
    opened.close()


def test_threads_and_ranks_have_their_own() -> None:
    said: list[bytes] = []

    def work() -> None:
        opened = Opened()
        said.append(opened(python("print('thread')"))[0].endings[0].stdout)
        opened.close()

    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    ranks = [context.Process(target=_in_a_process, args=(queue,)) for _ in range(2)]
    threads = [threading.Thread(target=work) for _ in range(2)]
    for one in [*ranks, *threads]:
        one.start()
    assert [queue.get(timeout=240) for _ in ranks] == [b"rank\n"] * 2
    for one in [*ranks, *threads]:
        one.join(240)
    assert said == [b"thread\n"] * 2


def test_levels_by_name() -> None:
    with pytest.raises(UsageError, match="no isolation is called 'landlok'"):
        Opened("landlok")
    with pytest.raises(ProviderError, match="unsafe: true"):
        Opened("none")
    if not shutil.which("bwrap"):
        with pytest.raises(ProviderError, match="bwrap is not installed.*--unsafe-local"):
            Opened("bubblewrap")
        return
    opened = Opened("bubblewrap")
    assert opened(python("print(input())", b"hello"))[0].endings[0].stdout == b"hello\n"
    opened.close()


def test_a_rank_takes_its_share_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores))
    assert Sandboxes().workers == 1
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert Sandboxes().workers == cores
    assert Sandboxes(workers=3).workers == 3
