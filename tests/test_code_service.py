"""The code service: any thread, any loop; refusals, repeats, retries; closing and opening again."""

import asyncio
import threading
import time

import pytest

from r1cli import Capabilities, CodeService, Execution, Input, Limits, Program, ProgramResult
from r1cli.code import service as module
from r1cli.errors import ProviderError, UsageError


class Echo:
    """A provider that prints what it is given and counts; `broken` of its first runs fail."""

    capabilities = Capabilities(
        languages=("echo",),
        isolation="none",
        max_cpu_seconds=20,
        max_inputs=4,
        args=False,
        missing={"yell": "it needs a throat; grow one"},
    )

    def __init__(self, broken=0, seconds=0.0):
        self.opened, self.closed, self.ran, self.cancelled, self.finished = 0, 0, 0, 0, 0
        self.broken, self.seconds = broken, seconds

    async def __aenter__(self):
        self.opened += 1
        self.loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *exc):
        self.closed += 1

    async def run(self, program):
        assert asyncio.get_running_loop() is self.loop
        self.ran += 1
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.finished += 1
        if self.ran <= self.broken:
            return ProgramResult([Execution("sandbox_error", message="down")])
        return ProgramResult([Execution("ok", given.stdin) for given in program.inputs])


def program(text=b"a", **more):
    return Program("echo", "source", [Input(text)], **more)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT_SECONDS", 0.001)


def test_results_come_in_the_order_of_the_programs():
    with CodeService("echo", Echo) as code:
        found = code.run([program(bytes([i])) for i in range(20)])
    assert [r.executions[0].stdout for r in found] == [bytes([i]) for i in range(20)]
    assert {r.provider for r in found} == {"echo"}


def test_equal_programs_run_once_also_while_one_is_under_way():
    echo = Echo(seconds=0.02)
    with CodeService("echo", lambda: echo) as code:
        first = code.run([program()] * 3)
        again = code.run([program(), program(b"b")])
    assert [r.cached for r in first] == [False, True, True]
    assert [r.cached for r in again] == [True, False]
    assert echo.ran == 2


@pytest.mark.parametrize(
    "other",
    [
        program(b"b"),
        program(limits=Limits(cpu_seconds=3)),
        program(stop_at_failure=True),
        program(files={"f": b""}),
        Program("echo", "source", [Input(b"a", {"f": b"x"})]),
        Program("echo", "source", [Input(b""), Input(b"a")]),
        Program("echo", "source\ud800", [Input(b"a")]),
    ],
)
def test_what_differs_in_anything_is_another_program(other):
    assert other.key() != program().key()
    assert other.key() == other.key()


def test_broken_infrastructure_is_tried_again_and_never_remembered():
    echo = Echo(broken=2)
    with CodeService("echo", lambda: echo) as code:
        assert code.run([program()])[0].status == "ok"
        assert echo.ran == 3
    echo = Echo(broken=4)
    with CodeService("echo", lambda: echo) as code:
        [result] = code.run([program()])
        assert (result.status, result.broken, echo.ran) == ("sandbox_error", True, 3)
        assert code.run([program()])[0].status == "ok"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Program("ecko", ""), "has no language 'ecko'; did you mean 'echo'?"),
        (Program("yell", ""), "cannot run 'yell' here; it needs a throat; grow one"),
        (Program("echo", "", [Input()] * 5), "takes 4 inputs a program, not 5"),
        (program(limits=Limits(cpu_seconds=21)), "allows cpu_seconds up to 20, not 21"),
        (program(args=["-v"]), "gives programs no arguments, but '-v' is wanted"),
        (program(files={"../x": b""}), "takes plain file names of letters.*not '../x'"),
        (program(files={"..": b""}), "takes plain file names"),
        (program(files={"a\0b": b""}), "takes plain file names"),
    ],
)
def test_what_a_provider_cannot_do_is_refused_in_one_line(asked, why):
    echo = Echo()
    with CodeService("echo", lambda: echo) as code, pytest.raises(UsageError, match=why) as error:
        code.run([program(), asked])
    assert str(error.value).startswith("code provider 'echo' ")
    assert echo.ran == 0


@pytest.mark.parametrize("name", ["cpu_seconds", "wall_seconds", "memory_mb", "processes"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_limits_are_positive_and_finite(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


def test_wall_time_is_derived_from_cpu_time():
    assert (Limits(cpu_seconds=3).wall, Limits(wall_seconds=1.5).wall) == (7, 1.5)


def test_it_serves_threads_and_loops_at_once():
    echo, found = Echo(seconds=0.01), []

    async def main(number):
        results = await code.arun([program(b"%d" % number), program(b"x")])
        found.append(results[0].executions[0].stdout)

    with CodeService("echo", lambda: echo) as code:
        threads = [threading.Thread(target=lambda n=n: asyncio.run(main(n))) for n in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert sorted(found) == [b"%d" % n for n in range(8)]
    assert (echo.opened, echo.closed, echo.ran) == (1, 1, 9)


def test_it_closes_when_the_last_user_leaves_and_opens_again_when_used():
    echo = Echo()
    code = CodeService("echo", lambda: echo)
    with code:
        with code:
            code.run([program()])
        assert echo.closed == 0
    assert (echo.opened, echo.closed) == (1, 1)
    code.run([program(b"z")])
    assert code.capabilities.languages == ("echo",)
    code.close()
    assert (echo.opened, echo.closed) == (2, 2)
    assert not [t for t in threading.enumerate() if t.name == "r1-code-echo"]


def test_a_provider_that_cannot_open_leaves_nothing_behind():
    class Shut(Echo):
        async def __aenter__(self):
            raise ProviderError("no key; set ECHO_KEY")

    code = CodeService("shut", Shut)
    for _ in range(2):
        with pytest.raises(ProviderError, match="set ECHO_KEY"), code:
            pass
    assert not [t for t in threading.enumerate() if t.name == "r1-code-shut"]


def test_a_waiter_that_gives_up_takes_nobody_with_it():
    echo, gave_up = Echo(seconds=1.0), []

    async def impatient():
        while not echo.ran:
            await asyncio.sleep(0.01)
        try:
            await asyncio.wait_for(code.arun([program()]), 0.05)
        except TimeoutError:
            gave_up.append(True)

    with CodeService("echo", lambda: echo) as code:
        other = threading.Thread(target=lambda: asyncio.run(impatient()))
        other.start()
        assert code.run([program()])[0].status == "ok"
        other.join()
    assert (gave_up, echo.cancelled, echo.ran) == ([True], 0, 1)


def test_what_nobody_waited_for_is_known_all_the_same():
    """A reward that ran out of time is tried again, and goes on from there."""
    echo = Echo(seconds=0.2)
    with CodeService("echo", lambda: echo) as code:
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(code.arun([program()]), 0.05))
        while not echo.finished:
            time.sleep(0.01)
        [again] = code.run([program()])
    assert (again.cached, echo.ran) == (True, 1)


def test_closing_ends_what_is_under_way():
    echo = Echo(seconds=60)
    code = CodeService("echo", lambda: echo)
    with code:
        ended = []

        def wait():
            try:
                code.run([program()])
            except BaseException as error:
                ended.append(type(error).__name__)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not echo.ran:
            pass
    waiting.join(10)
    assert (ended, echo.cancelled) == (["CancelledError"], 1)


def test_memory_of_results_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "KNOWN_BYTES", 10_000)
    echo = Echo()
    with CodeService("echo", lambda: echo) as code:
        for i in range(50):
            code.run([program(b"%d" % i * 1000)])
        code.run([program(b"49" * 1000)])
        code.run([program(b"0" * 1000)])
    assert echo.ran == 51
