"""Provider `sandboxfusion` over real sockets. What it shares with piston is in test_piston.py."""

import asyncio

import pytest
from loopback.sandboxfusion import SandboxFusionServer
from loopback.server import FAULTS

from r1_code.remote import endpoints, fleet, sandboxfusion
from r1cli import Input, Limits, Program, ProviderError, UsageError


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(fleet, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(endpoints, "FIRST_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(endpoints, "PATIENCE_SECONDS", 1.0)
    monkeypatch.delenv("SANDBOX_FUSION_ENDPOINT", raising=False)


@pytest.fixture
def server():
    with SandboxFusionServer() as server:
        yield server


def run(program, server):
    async def go():
        async with sandboxfusion.sandboxfusion(endpoints=server.url) as provider:
            try:
                return await provider.run(program)
            finally:
                assert [one.free for one in provider.fleet.endpoints.all] == [8]

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python3", "print(2 * int(input()))"),
        ("c++", "#include <iostream>\nint main() { int a; std::cin >> a; std::cout << 2 * a; }"),
        ("javascript", "console.log(2 * require('fs').readFileSync(0))"),
        ("bash", "read a; echo $((2 * a))"),
    ],
)
def test_languages_by_our_names(server, language, source):
    result = run(Program(language, source, [Input(b"4\n"), Input(b"5\n")]), server)
    assert [e.stdout.strip() for e in result.executions] == [b"8", b"10"]
    assert (result.status, result.provider) == ("ok", "sandboxfusion")
    assert (result.compilation is not None) == (language == "c++")


def test_files(server):
    program = Program("python", "print(open('a').read())", [Input(files={"a": b"hi"})])
    assert run(program, server).executions[0].stdout == b"hi\n"


def test_compile_error_is_asked_once(server):
    result = run(Program("cpp", "int main() {", [Input(b"1"), Input(b"2")]), server)
    assert (result.status, list(result.executions)) == ("compile_error", [])
    assert server.count("run_code") == 1


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("import sys; sys.exit(3)", "runtime_error"),
        ("import os; os.abort()", "runtime_error"),
        ("import time; time.sleep(30)", "time_limit"),
        ("raise MemoryError", "memory_limit"),
        ("print('x' * 2000)", "output_limit"),
    ],
)
def test_ways_to_end(server, source, status):
    limits = Limits(cpu_seconds=1, wall_seconds=1, output_bytes=1000)
    [execution] = run(Program("python", source, limits=limits), server).executions
    assert execution.status == status
    assert (execution.cpu_seconds, execution.peak_mb) == (None, None)


@pytest.mark.parametrize(
    "said",
    [
        {"status": "SandboxError", "message": "no memory for a sandbox"},
        {"run_result": {"status": "Error", "stderr": "broken pipe"}},
        {"run_result": None},
        {"status": None, "run_result": "what"},
    ],
)
def test_the_server_s_own_faults_are_a_sandbox_error(server, said):
    server.said = said
    assert run(Program("python", "pass"), server).status == "sandbox_error"
    assert server.count("run_code") == fleet.TRIES


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_is_tried_again_and_many_are_a_sandbox_error(server, fault, monkeypatch):
    monkeypatch.setattr(sandboxfusion, "SLACK_SECONDS", 0.0)
    limits = Limits(cpu_seconds=0.5, wall_seconds=0.5, compile_seconds=0.5)
    server.faults.append(fault)
    assert run(Program("python", "print(1)", limits=limits), server).status == "ok"
    server.faults.extend([fault] * 50)
    assert run(Program("python", "print(1)", limits=limits), server).status == "sandbox_error"
    assert server.count("run_code") == 2 + fleet.TRIES


def test_what_the_server_refuses_is_asked_once(server):
    with pytest.raises(UsageError, match="memory_limit_MB too large"):
        run(Program("python", "pass", limits=Limits(memory_mb=5000)), server)
    assert server.count("run_code") == 1


def test_what_is_too_large_stops_no_run(server):
    server.faults.extend([413] * 50)
    assert run(Program("python", "pass"), server).status == "sandbox_error"
    assert server.count("run_code") == 1


def test_arguments_are_not_among_its_capabilities(server):
    async def go():
        async with sandboxfusion.sandboxfusion(endpoints=server.url) as provider:
            return provider.capabilities

    can = asyncio.run(go())
    assert not can.args
    assert {"python", "cpp", "rust"} <= {*can.languages}


def test_no_server():
    with pytest.raises(ProviderError, match="SANDBOX_FUSION_ENDPOINT"):
        sandboxfusion.sandboxfusion()
