"""Provider `e2b`: the real SDK against a loopback E2B, through every way to fail."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest
from loopback.e2b import E2bServer

from r1_code.remote import e2b, leases, vm_job
from r1cli import CodeService, Input, Limits, MissingExtra, Program, ProviderError, UsageError
from r1cli.code import service as code_service

pytest.importorskip("e2b_code_interpreter", reason="pip install 'r1cli[code]'")

SHORT = Limits(cpu_seconds=1, wall_seconds=1, compile_seconds=5)


@pytest.fixture(autouse=True)
def server(monkeypatch):
    monkeypatch.setattr(e2b, "CREATE_SECONDS", 5.0)
    monkeypatch.setattr(e2b, "RETRIES", 2)
    monkeypatch.setattr(leases, "END_SECONDS", 3.0)
    monkeypatch.setattr(code_service, "FIRST_WAIT_SECONDS", 0.01)
    with E2bServer() as server:
        monkeypatch.setenv("E2B_API_KEY", server.key)
        monkeypatch.setenv("E2B_API_URL", server.url)
        monkeypatch.setenv("E2B_SANDBOX_URL", server.url)
        yield server


def run(*programs, before=None, **args):
    async def go():
        async with e2b.e2b(**args) as provider:
            if before:
                before()
            return await asyncio.gather(*map(provider.run, programs))

    return asyncio.run(go())


def assert_all_are_killed(server):
    assert sorted(server.created) == sorted(server.killed)
    assert server.sandboxes == {}


# -- what it runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", "print(2 * int(input()))"),
        ("cpp", "#include <iostream>\nint main() { int a; std::cin >> a; std::cout << 2 * a; }"),
        ("javascript", "console.log(2 * require('fs').readFileSync(0))"),
        ("bash", "read a; echo $((2 * a)) | cat"),
        (
            "java",
            "import java.util.*;\npublic class Twice { public static void main(String[] args) {"
            "System.out.println(2 * new Scanner(System.in).nextInt()); } }",
        ),
    ],
    ids=["python", "cpp", "javascript", "bash", "java"],
)
@pytest.mark.skipif(not all(map(shutil.which, ("g++", "node", "javac"))), reason="no compilers")
def test_all_inputs_of_a_program_in_one_sandbox(server, language, source):
    [result] = run(Program(language, source, [Input(b"4\n"), Input(b"5\n")]))
    assert [e.stdout.strip() for e in result.executions] == [b"8", b"10"]
    assert (result.status, result.provider, result.isolation) == ("ok", "e2b", "virtual machine")
    assert (result.compilation is not None) == (language in ("cpp", "java"))
    assert len(server.created) == 2  # the first asks which languages there are
    asked = server.requests[0].json()
    assert (asked["allow_internet_access"], asked["timeout"]) == (False, 3600)
    assert_all_are_killed(server)


def test_a_language_whose_tools_the_machine_lacks_is_refused(server, tmp_path, monkeypatch):
    tools = {tool: shutil.which(tool) for tool in ("bash", "timeout", "gcc")}
    for tool, path in {**tools, "python3": Path(sys.executable).resolve()}.items():
        (tmp_path / tool).symlink_to(path)
    monkeypatch.setattr(server, "path", str(tmp_path))
    with CodeService("e2b", e2b.e2b) as service:
        assert "c" in service.capabilities.languages
        with pytest.raises(UsageError, match="'c[+][+]' here; it needs g[+][+] in the machine's"):
            service.run([Program("c++", "")])


def test_bytes_files_and_arguments_arrive_as_they_are():
    source = "import sys; b = sys.stdin.buffer.read(); sys.stdout.buffer.write(b + open('f', 'rb')"
    source += ".read() + sys.argv[1].encode())"
    given = Input(bytes(range(256)), {"f": b"\xff\x00\r\n"})
    [result] = run(Program("python", source, [given], args=["é $HOME 'x'"]))
    assert (
        result.executions[0].stdout == bytes(range(256)) + b"\xff\x00\r\n" + "é $HOME 'x'".encode()
    )


def test_compile_error():
    [result] = run(Program("cpp", "int main() {", [Input(), Input()]))
    assert (result.status, list(result.executions)) == ("compile_error", [])
    assert b"error" in result.compilation.stderr


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("import sys; sys.exit(3)", "runtime_error"),
        ("import os; os.abort()", "runtime_error"),
        ("while True: pass", "time_limit"),
        ("import time; time.sleep(30)", "time_limit"),
        ("x = b'x' * (1 << 30)", "memory_limit"),
        ("while True: print('x' * 1000)", "output_limit"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "runtime_error"),
    ],
)
def test_ways_to_end(server, source, status):
    [result] = run(Program("python", source, limits=SHORT))
    assert result.status == status
    assert result.executions[0].cpu_seconds is not None
    assert_all_are_killed(server)


def test_nothing_is_run_after_a_failure_where_that_is_asked():
    inputs = [Input(b"1"), Input(b"0"), Input(b"1")]
    [result] = run(Program("python", "1 // int(input())", inputs, stop_at_failure=True))
    assert [e.status for e in result.executions] == ["ok", "runtime_error"]


def test_no_more_sandboxes_at_a_time_than_allowed(server):
    results = run(*(Program("python", f"print({i})") for i in range(6)), sandboxes=2)
    assert {result.status for result in results} == {"ok"}
    assert server.most_alive == 2
    assert_all_are_killed(server)


# -- what fails ------------------------------------------------------------------------------------

FAULTS = ["garbage", "empty", "hang up", "cut", 400, 404, 500, 502]


@pytest.mark.parametrize("place", ["CREATE", "WRITE", "START"])
def test_whatever_fails_is_a_sandbox_error_and_the_sandbox_is_killed(server, place):
    async def go():
        async with e2b.e2b() as provider:
            server.faulty = getattr(server, place)
            for fault in FAULTS:
                server.faults.extend([fault] * 9)
                result = await provider.run(Program("python", "print(1)"))
                server.faults.clear()
                assert (result.status, len(result.executions)) == ("sandbox_error", 1), fault
                assert result.executions[0].message, fault
                if (place, fault) == ("CREATE", "cut"):
                    # It was made, and its name was lost on the way: its lifetime ends it.
                    server.killed.append(server.created[-1])
                    server.sandboxes.clear()
                assert_all_are_killed(server)

    asyncio.run(go())


def test_the_service_tries_again_in_a_new_sandbox(server):
    server.faulty = server.START
    with CodeService("e2b", e2b.e2b) as service:
        service.capabilities
        server.faults.extend(["cut", 500])
        [result] = service.run([Program("python", "print(1)")])
    assert result.status == "ok"
    assert len(server.created) == 4
    assert_all_are_killed(server)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_rate_limit_is_waited_for(server, status):
    [result] = run(Program("python", "print(1)"), before=lambda: server.faults.append(status))
    assert result.status == "ok"
    assert server.count(server.CREATE) == 3


def test_a_rate_limit_without_end_is_a_sandbox_error_and_fails_no_other(server):
    programs = [Program("python", f"print({i})") for i in range(3)]
    many = [429] * 3  # the first, the SDK's two retries
    results = run(*programs, before=lambda: server.faults.extend(many), sandboxes=1)
    assert [r.status for r in results] == ["sandbox_error", "ok", "ok"]


def test_a_late_answer_is_no_time_limit_of_the_program(server, monkeypatch):
    server.faulty, server.late_seconds = server.START, 3.0
    limits = Limits(cpu_seconds=0.1, wall_seconds=0.1, compile_seconds=0.1)
    program = Program("python", "print(1)", limits=limits)

    def before():
        monkeypatch.setattr(vm_job, "SLACK_SECONDS", 0.5)
        server.faults.append("late")

    [result] = run(program, before=before)
    assert result.status == "sandbox_error"


def test_an_outage_and_its_end(server):
    async def go():
        async with e2b.e2b() as provider:
            assert (await provider.run(Program("python", "print(1)"))).status == "ok"
            server.stop()
            assert (await provider.run(Program("python", "print(2)"))).status == "sandbox_error"
            server.start()
            assert (await provider.run(Program("python", "print(3)"))).status == "ok"

    asyncio.run(go())


def test_an_outage_in_the_midst_of_a_run(server):
    async def go():
        async with e2b.e2b() as provider:
            server.started.clear()
            task = asyncio.create_task(
                provider.run(Program("python", "import time; time.sleep(2)"))
            )
            await asyncio.to_thread(server.started.wait, 60)
            server.stop()
            return await task

    assert asyncio.run(go()).status == "sandbox_error"


def test_a_cancelled_run_kills_its_sandbox_and_leaves_room(server):
    async def go():
        async with e2b.e2b(sandboxes=1) as provider:
            server.started.clear()
            task = asyncio.create_task(
                provider.run(Program("python", "import time; time.sleep(3)"))
            )
            await asyncio.to_thread(server.started.wait, 60)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert server.sandboxes == {}
            return await provider.run(Program("python", "print(1)"))

    assert asyncio.run(go()).status == "ok"
    assert_all_are_killed(server)


def test_leaving_kills_what_is_still_being_made(server):
    async def go():
        async with e2b.e2b() as provider:
            server.late_seconds = 0.5
            server.faults.append("late")
            task = asyncio.create_task(provider.run(Program("python", "print(1)")))
            while server.count(server.CREATE) < 2:
                await asyncio.sleep(0.01)
            task.cancel()

    asyncio.run(go())
    assert len(server.created) == 2
    assert_all_are_killed(server)


def test_closing_the_service_kills_what_runs(server):
    async def go():
        with CodeService("e2b", e2b.e2b) as service:
            server.started.clear()
            program = Program("python", "import time; time.sleep(5)")
            task = asyncio.create_task(service.arun([program]))
            await asyncio.to_thread(server.started.wait, 60)
        task.cancel()

    asyncio.run(go())
    assert_all_are_killed(server)


# -- before anything runs --------------------------------------------------------------------------


def test_no_key(monkeypatch):
    monkeypatch.delenv("E2B_API_KEY")
    with pytest.raises(ProviderError, match="set E2B_API_KEY"):
        e2b.e2b()


def test_a_key_that_is_not_accepted(server):
    server.key = "another"
    with pytest.raises(ProviderError, match="invalid API key"):
        run()


def test_no_sdk(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'r1cli\[code\]'"):
        e2b.e2b()
