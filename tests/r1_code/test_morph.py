"""Provider `morph`: the real SDK against a loopback Morph Cloud, through every way to fail."""

import asyncio
import random
import shutil

import pytest
from loopback.morph import MorphServer

from r1_code.remote import leases, morph, morph_instance
from r1cli import CodeService, Input, Limits, MissingExtra, Program, ProviderError
from r1cli.code import service as code_service

pytest.importorskip("morphcloud", reason="pip install 'r1cli[code]'")

SHORT = Limits(cpu_seconds=1, wall_seconds=1, compile_seconds=5)


@pytest.fixture(autouse=True)
def server(monkeypatch):
    monkeypatch.setattr(morph_instance, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(leases, "END_SECONDS", 3.0)
    monkeypatch.setattr(code_service, "FIRST_WAIT_SECONDS", 0.01)
    with MorphServer() as server:
        monkeypatch.setenv("MORPH_API_KEY", server.key)
        monkeypatch.setenv("MORPH_HTTP_TRANSPORT_SHARDS", "1")  # each costs 30 ms
        monkeypatch.setenv("MORPH_BASE_URL", f"{server.url}/api")
        yield server


def run(*programs, before=None, **args):
    async def go():
        async with morph.morph(**args) as provider:
            if before:
                before()
            return await asyncio.gather(*map(provider.run, programs))

    return asyncio.run(go())


def assert_all_are_stopped(server):
    assert sorted(name for name, *_ in server.started) == sorted(server.stopped)


# -- what it runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", "print(2 * int(input()))"),
        ("cpp", "#include <iostream>\nint main() { int a; std::cin >> a; std::cout << 2 * a; }"),
        ("javascript", "console.log(2 * require('fs').readFileSync(0))"),
        ("bash", "read a; echo $((2 * a)) | cat"),
    ],
    ids=["python", "cpp", "javascript", "bash"],
)
@pytest.mark.skipif(not all(map(shutil.which, ("g++", "node"))), reason="no compilers")
def test_languages(server, language, source):
    [result] = run(Program(language, source, [Input(b"4\n"), Input(b"5\n")]))
    assert [e.stdout.strip() for e in result.executions] == [b"8", b"10"]
    assert (result.status, result.provider, result.isolation) == ("ok", "morph", "virtual machine")
    assert (result.compilation is not None) == (language == "cpp")
    assert_all_are_stopped(server)


def test_a_job_of_many_pieces_arrives_whole(server):
    data = random.Random(1).randbytes(300_000)
    source = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    [result] = run(Program("python", source, [Input(data)]))
    assert result.executions[0].stdout == data
    assert sum("/job." in line and "printf" in line for line in server.commands) >= 4


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("import sys; sys.exit(124)", "runtime_error"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "runtime_error"),
        ("while True: pass", "time_limit"),
        ("x = b'x' * (1 << 30)", "memory_limit"),
        ("while True: print('x' * 1000)", "output_limit"),
    ],
)
def test_ways_to_end(server, source, status):
    [result] = run(Program("python", source, limits=SHORT))
    assert result.status == status


def test_compile_error():
    [result] = run(Program("cpp", "int main() {", [Input(), Input()]))
    assert (result.status, list(result.executions)) == ("compile_error", [])


def test_an_instance_is_used_again_and_no_more_are_started_than_allowed(server):
    results = run(*(Program("python", f"print({i})") for i in range(6)), instances=2)
    assert [r.executions[0].stdout for r in results] == [b"%d\n" % i for i in range(6)]
    assert len(server.started) == server.most_alive == 2
    assert_all_are_stopped(server)


def test_nothing_of_a_program_is_left_for_the_next():
    leave = (
        "import os, time\nopen('left', 'w')\nif os.fork() == 0:\n    os.setsid(); time.sleep(60)"
    )
    look = "import glob, os\nprint(glob.glob('/tmp/r1-*/**/left', recursive=True), os.getcwd())"
    first, second = run(Program("python", leave), Program("python", look), instances=1)
    assert first.status == "ok"
    assert second.executions[0].stdout.startswith(b"[] ")


def test_an_old_instance_is_replaced(server, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(morph.time, "monotonic", lambda: now[0])

    async def go():
        async with morph.morph(lifetime_seconds=100) as provider:
            for at in (49.0, 51.0):
                now[0] = at
                assert (await provider.run(Program("python", f"print({at})"))).status == "ok"

    asyncio.run(go())
    assert len(server.started) == 2
    assert {body["ttl_seconds"] for _, _, body in server.started} == {100}
    assert_all_are_stopped(server)


# -- snapshots -------------------------------------------------------------------------------------


def test_a_snapshot_is_made_once_and_found_again(server):
    run()
    run()
    assert len(server.snapshots) == 1
    run(memory_mb=4096)
    assert len(server.snapshots) == 2


def test_set_up_is_run_once(server, tmp_path):
    args = {"setup": f"echo done >> {tmp_path}/set-up"}
    run(**args)
    run(**args)
    assert (tmp_path / "set-up").read_text() == "done\n"
    assert len(server.snapshots) == 2
    assert_all_are_stopped(server)


def test_set_up_that_fails(server):
    with pytest.raises(ProviderError, match="setup ended with exit code 3: no such package"):
        run(setup="echo no such package >&2; exit 3")
    assert_all_are_stopped(server)


# -- what fails ------------------------------------------------------------------------------------

FAULTS = ["garbage", "empty", "hang up", "cut", 400, 404, 429, 500, 502]


@pytest.mark.parametrize("place", ["START", "EXEC"])
def test_whatever_fails_is_a_sandbox_error_and_the_instance_is_stopped(server, place):
    async def go():
        async with morph.morph() as provider:
            await provider.instances.close()
            provider._idle.clear()
            server.faulty = getattr(server, place)
            for fault in FAULTS:
                server.faults.extend([fault] * 20)
                result = await provider.run(Program("python", "print(1)"))
                server.faults.clear()
                assert (result.status, len(result.executions)) == ("sandbox_error", 1), fault
                assert result.executions[0].message, fault
                if (place, fault) == ("START", "cut"):
                    # It was made, and its name was lost on the way: its lifetime ends it.
                    server.stopped.append(server.started[-1][0])
                assert_all_are_stopped(server)

    asyncio.run(go())


@pytest.mark.parametrize("place", ["START", "EXEC"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_rate_limit_is_waited_for(server, place, status):
    server.faulty = getattr(server, place)
    server.faults.extend([status] * 3)
    [result] = run(Program("python", "print(1)"))
    assert result.status == "ok"
    assert len(server.started) == 1


def test_the_service_tries_again_on_a_new_instance(server):
    with CodeService("morph", morph.morph) as service:
        service.capabilities
        server.faults.extend([404])
        [result] = service.run([Program("python", "print(1)")])
    assert result.status == "ok"
    assert len(server.started) == 2
    assert_all_are_stopped(server)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"exit_code": 124, "stdout": "", "stderr": ""}, "overran its time"),
        ({"exit_code": 137, "stdout": "", "stderr": ""}, "overran its memory"),
        ({"exit_code": 127, "stdout": "", "stderr": "python3: not found"}, "python3: not found"),
        ({"exit_code": 0, "stdout": "hello", "stderr": ""}, "no report"),
        ({"exit_code": 0, "stdout": "", "stderr": ""}, "no report"),
        ({"what": "is this"}, "validation error"),
    ],
)
def test_a_harness_without_a_report_is_a_sandbox_error(server, said, why):
    def before():
        server.said = said

    [result] = run(Program("python", "print(1)"), before=before)
    assert result.status == "sandbox_error"
    assert why in result.executions[0].message


def test_a_late_answer_is_no_time_limit_of_the_program(server, monkeypatch):
    monkeypatch.setattr(morph_instance, "REQUEST_SECONDS", 0.5)
    [result] = run(Program("python", "print(1)"), before=lambda: server.faults.append("late"))
    assert result.status == "sandbox_error"
    assert_all_are_stopped(server)


def test_an_outage_and_its_end(server):
    async def go():
        async with morph.morph() as provider:
            server.stop()
            assert (await provider.run(Program("python", "print(2)"))).status == "sandbox_error"
            server.start()
            assert (await provider.run(Program("python", "print(3)"))).status == "ok"

    asyncio.run(go())


def test_a_cancelled_run_stops_its_instance_and_leaves_room(server):
    async def go():
        async with morph.morph(instances=1) as provider:
            server.running_harness.clear()
            task = asyncio.create_task(
                provider.run(Program("python", "import time; time.sleep(3)"))
            )
            await asyncio.to_thread(server.running_harness.wait, 60)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert server.instances == {}
            return await provider.run(Program("python", "print(1)"))

    assert asyncio.run(go()).status == "ok"
    assert_all_are_stopped(server)


# -- before anything runs --------------------------------------------------------------------------


def test_no_key(monkeypatch):
    monkeypatch.delenv("MORPH_API_KEY")
    with pytest.raises(ProviderError, match="set MORPH_API_KEY"):
        morph.morph()


def test_a_key_that_is_not_accepted(server):
    server.key = "another"
    with pytest.raises(ProviderError, match="invalid API key"):
        run()


def test_no_sdk(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'r1cli\[code\]'"):
        morph.morph()
