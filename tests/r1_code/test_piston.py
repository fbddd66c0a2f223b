"""Provider `piston` over real sockets: both generations of its API, and every way to fail."""

import asyncio
import os
import stat

import pytest
from loopback.piston import PistonServer
from loopback.server import FAULTS

from r1_code.remote import endpoints, fleet, piston, request
from r1cli import Input, Limits, Program, ProviderError, UsageError

ADD = "print(sum(map(int, input().split())))"
PAIRS = [Input(b"1 2"), Input(b"3 4"), Input(b"5 6\n")]
SHORT = Limits(cpu_seconds=1, wall_seconds=1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(fleet, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(endpoints, "FIRST_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(endpoints, "PATIENCE_SECONDS", 2.0)
    for name in ("PISTON_ENDPOINTS", "PISTON_MAX_REQUESTS_PER_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["new", "old"])
def server(request):
    with PistonServer(request.param) as server:
        yield server


@pytest.fixture
def new():
    with PistonServer() as server:
        yield server


def run(program, *servers, **args):
    async def go():
        async with piston.piston(endpoints=[s.url for s in servers], **args) as provider:
            try:
                return await provider.run(program)
            finally:
                assert_all_tokens_are_there(provider)

    return asyncio.run(go())


def assert_all_tokens_are_there(provider):
    assert {one.free for one in provider.fleet.endpoints.all} == {provider._tokens}


# -- what it runs ----------------------------------------------------------------------------------


def test_python_on_every_input_in_order(server):
    result = run(Program("python", ADD, PAIRS), server)
    assert [e.stdout for e in result.executions] == [b"3\n", b"7\n", b"11\n"]
    assert (result.status, result.compilation, result.provider) == ("ok", None, "piston")


def test_cpp_is_compiled_and_said_to_be(server):
    source = "#include <iostream>\nint main() { int a; std::cin >> a; std::cout << 2 * a; }"
    result = run(Program("cpp17", source, [Input(b"21")]), server)
    assert (result.compilation.status, result.executions[0].stdout) == ("ok", b"42")
    assert server.requests[-1].json()["language"] == "cpp"


def test_javascript_args_and_files(server):
    source = "console.log(process.argv[2], require('fs').readFileSync('a.bin').length)"
    program = Program("js", source, [Input(files={"a.bin": b"\xff\x00\xfe"})], args=["x y"])
    assert run(program, server).executions[0].stdout == b"x y 3\n"


def test_what_does_not_compile_is_asked_once_and_never_run(server):
    result = run(Program("cpp", "int main() {", PAIRS), server)
    assert (result.status, list(result.executions)) == ("compile_error", [])
    assert b"error" in result.compilation.stderr
    assert server.count("execute") == 1


def test_exit_code(server):
    [execution] = run(Program("python", "import sys; sys.exit(3)"), server).executions
    assert (execution.status, execution.exit_code) == ("runtime_error", 3)


def test_a_signal(server):
    [execution] = run(Program("python", "import os; os.abort()"), server).executions
    assert (execution.status, execution.signal) == ("runtime_error", 6)


def test_the_wall_limit(server):
    [execution] = run(
        Program("python", "import time; time.sleep(30)", limits=SHORT), server
    ).executions
    assert (execution.status, execution.signal) == ("time_limit", 9)
    assert "1 s" in execution.message


def test_what_the_new_generation_measures_and_the_old_does_not(server):
    [execution] = run(Program("python", "pass"), server).executions
    figures = (execution.cpu_seconds, execution.peak_mb)
    assert figures == ((0.012, 9.0) if server.generation == "new" else (None, None))


@pytest.mark.parametrize(
    ("stage", "status"),
    [
        ({"status": "OL", "code": None, "signal": "SIGKILL"}, "output_limit"),
        ({"status": "EL", "code": None, "signal": "SIGKILL"}, "output_limit"),
        ({"status": "SG", "code": None, "signal": "SIGKILL", "memory": 512 << 20}, "memory_limit"),
        ({"status": "SG", "code": None, "signal": "SIGSEGV"}, "runtime_error"),
        ({"status": "RE", "code": 139}, "runtime_error"),
        ({"status": "TO", "code": None, "signal": "SIGKILL"}, "time_limit"),
        ({"cpu_time": 11_000}, "time_limit"),
        ({"status": "XX", "message": "isolate broke"}, "sandbox_error"),
        ({"code": 1, "stderr": "fork: Resource temporarily unavailable"}, "sandbox_error"),
    ],
)
def test_statuses_of_the_new_generation(new, stage, status):
    new.stage = stage
    result = run(Program("python", "pass"), new)
    assert result.status == status
    assert new.count("execute") == (fleet.TRIES if status == "sandbox_error" else 1)


def test_output_beyond_its_limit_is_cut(new):
    limits = Limits(output_bytes=10)
    [execution] = run(Program("python", "print('x' * 50)", limits=limits), new).executions
    assert (execution.status, execution.stdout, execution.truncated) == (
        "output_limit",
        b"x" * 10,
        True,
    )


def test_nothing_is_run_after_a_failure_where_that_is_asked(new):
    source = "print(1 // int(input()))"
    inputs = [Input(b"1"), Input(b"0"), Input(b"1")]
    result = run(Program("python", source, inputs, stop_at_failure=True), new)
    assert [e.status for e in result.executions] == ["ok", "runtime_error"]
    assert new.count("execute") == 2


def test_half_a_surrogate_pair_in_the_source(new):
    assert run(Program("python", "print('a\ud83d')"), new).status == "ok"


def test_requests_last_longer_than_the_limits_of_the_job(new, monkeypatch):
    asked = []

    async def spy(*args, seconds):
        asked.append(seconds)
        return await request.ask(*args, seconds=seconds)

    monkeypatch.setattr(fleet, "ask", spy)
    limits = Limits(wall_seconds=50, compile_seconds=20)
    run(Program("python", "pass", limits=limits), new)
    assert asked[-1] > 50 + 20


# -- what fails ------------------------------------------------------------------------------------


@pytest.fixture
def brief(monkeypatch):
    """Jobs whose requests last one second, so that a late answer is one."""
    monkeypatch.setattr(piston, "SLACK_SECONDS", 0.0)
    return Limits(cpu_seconds=0.5, wall_seconds=0.5, compile_seconds=0.5)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_is_tried_again(new, fault, brief):
    new.faults.append(fault)
    result = run(Program("python", ADD, PAIRS[:1], limits=brief), new)
    assert (result.status, new.count("execute")) == ("ok", 2)


@pytest.mark.parametrize("fault", FAULTS)
def test_failures_without_end_are_a_sandbox_error_and_never_a_score(new, fault, brief):
    new.faults.extend([fault] * 50)
    result = run(Program("python", ADD, PAIRS, limits=brief), new)
    assert (result.status, len(result.executions), result.broken) == ("sandbox_error", 1, True)
    assert result.executions[0].message
    assert new.count("execute") == fleet.TRIES


@pytest.mark.parametrize(
    ("said", "waited"), [("7", 7), ("100000", 60), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("-3", 0)]
)
def test_what_a_server_asks_to_wait_is_waited(new, monkeypatch, said, waited):
    waits, sleep = [], asyncio.sleep

    async def spy(seconds):
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", spy)
    new.retry_after = said
    new.faults.append(429)
    assert run(Program("python", "pass"), new).status == "ok"
    assert [round(seconds) for seconds in waits] == [waited]


def test_a_failure_is_tried_on_another_endpoint():
    with PistonServer() as bad, PistonServer() as good:
        bad.faults.extend([500] * 50)
        results = [run(Program("python", f"print({i})"), bad, good) for i in range(4)]
        assert {result.status for result in results} == {"ok"}
        assert good.count("execute") == 4


def test_what_the_server_refuses_is_asked_once_and_said_in_one_line(new):
    program = Program("python", "pass", PAIRS, limits=Limits(wall_seconds=61))
    with pytest.raises(UsageError, match="run_timeout cannot exceed the configured") as refused:
        run(program, new)
    assert "\n" not in str(refused.value)
    assert new.count("execute") == 1


def test_stdin_that_is_no_text_is_refused(new):
    with pytest.raises(UsageError, match="UTF-8"):
        run(Program("python", "pass", [Input(b"\xff")]), new)
    assert new.count("execute") == 0


def test_a_hundred_failures_lose_no_token(new):
    new.faults.extend(FAULTS[:4] * 75)

    async def go():
        async with piston.piston(endpoints=new.url, max_requests_per_endpoint=3) as provider:
            programs = [Program("python", f"print({i})") for i in range(100)]
            results = await asyncio.gather(*map(provider.run, programs))
            assert sum(result.broken for result in results) >= 90
            assert_all_tokens_are_there(provider)
            new.faults.clear()
            assert (await provider.run(programs[0])).status == "ok"

    asyncio.run(go())
    assert new.most_running <= 3


def test_no_more_requests_at_a_time_than_allowed(new):
    async def go():
        async with piston.piston(endpoints=new.url, max_requests_per_endpoint=2) as provider:
            source = "import time; time.sleep(0.1)"
            programs = [Program("python", f"{source} # {i}") for i in range(8)]
            return await asyncio.gather(*map(provider.run, programs))

    assert {result.status for result in asyncio.run(go())} == {"ok"}
    assert new.most_running == 2


def test_a_cancelled_run_gives_its_token_back(new):
    async def go():
        async with piston.piston(endpoints=new.url) as provider:
            slow = asyncio.create_task(
                provider.run(Program("python", "import time; time.sleep(3)"))
            )
            waiting = asyncio.create_task(provider.run(Program("python", "pass")))
            while not new.running:
                await asyncio.sleep(0.01)
            waiting.cancel()
            slow.cancel()
            await asyncio.wait([slow, waiting])
            assert slow.cancelled()
            assert waiting.cancelled()
            assert_all_tokens_are_there(provider)
            assert (await provider.run(Program("python", "print(1)"))).status == "ok"

    asyncio.run(go())


# -- endpoints that come and go --------------------------------------------------------------------


def test_an_endpoint_that_was_down_comes_back(new):
    async def go():
        async with piston.piston(endpoints=new.url) as provider:
            assert (await provider.run(Program("python", "print(1)"))).status == "ok"
            new.stop()
            down = await provider.run(Program("python", "print(2)"))
            assert (down.status, down.broken) == ("sandbox_error", True)
            new.start()
            return await provider.run(Program("python", "print(3)"))

    assert asyncio.run(go()).status == "ok"


def test_an_outage_in_the_midst_of_a_run_is_ridden_out(new):
    async def go():
        async with piston.piston(endpoints=new.url) as provider:
            source = "import time; time.sleep(1)"
            task = asyncio.create_task(provider.run(Program("python", source)))
            while not new.running:
                await asyncio.sleep(0.01)
            new.stop()
            await asyncio.sleep(0.1)
            new.start()
            return await task

    assert asyncio.run(go()).status == "ok"


def test_one_dead_endpoint_condemns_no_other():
    with PistonServer() as good:
        dead = PistonServer()
        dead.stop()
        results = [run(Program("python", f"print({i})"), dead, good) for i in range(3)]
    assert {result.status for result in results} == {"ok"}


def test_waiting_for_endpoints_that_are_all_down_has_an_end(new):
    async def go():
        async with piston.piston(endpoints=new.url) as provider:
            new.stop()
            programs = [Program("python", f"print({i})") for i in range(20)]
            return await asyncio.wait_for(asyncio.gather(*map(provider.run, programs)), 60)

    assert {result.status for result in asyncio.run(go())} == {"sandbox_error"}


def test_none_that_answers_at_the_start_stops_the_run():
    dead = PistonServer()
    dead.stop()
    with pytest.raises(ProviderError, match="no answer.*PISTON_ENDPOINTS"):
        run(Program("python", "pass"), dead)


# -- where they are --------------------------------------------------------------------------------


def test_no_endpoint_named():
    with pytest.raises(ProviderError, match="PISTON_ENDPOINTS=http"):
        piston.piston()


def test_an_endpoint_that_is_no_url():
    with pytest.raises(UsageError, match="'localhost:2000'"):
        piston.piston(endpoints="http://a:1,localhost:2000")


@pytest.mark.parametrize("count", [0, -1])
def test_no_requests_at_all_would_be_endless(count):
    with pytest.raises(UsageError, match=f"max_requests_per_endpoint {count} is not 1 or more"):
        piston.piston(endpoints="http://a:1", max_requests_per_endpoint=count)


def test_the_environment_says_how_many_requests(new, monkeypatch):
    monkeypatch.setenv("PISTON_MAX_REQUESTS_PER_ENDPOINT", "7")
    assert piston.piston(endpoints=new.url)._tokens == 7
    monkeypatch.setenv("PISTON_MAX_REQUESTS_PER_ENDPOINT", "many")
    with pytest.raises(UsageError, match="PISTON_MAX_REQUESTS_PER_ENDPOINT='many'"):
        piston.piston(endpoints=new.url)


def test_the_environment_names_them(new, monkeypatch):
    monkeypatch.setenv("PISTON_ENDPOINTS", f"{new.url}/api/v2/, {new.url}/api/v2")
    assert run(Program("python", "pass")).status == "ok"


@pytest.mark.parametrize(
    ("world", "rank", "share"), [(2, 1, "bd"), (4, 3, "d"), (5, 4, "abcd"), (1, 0, "abcd")]
)
def test_ranks_share_where_there_are_enough(monkeypatch, world, rank, share):
    monkeypatch.setenv("WORLD_SIZE", str(world))
    monkeypatch.setenv("RANK", str(rank))
    assert "".join(piston.share([*"abcd"])) == share


def test_slurm_jobs_are_found_by_name(new, monkeypatch, tmp_path):
    port = new.url.rpartition(":")[2]
    squeue = tmp_path / "squeue"
    lines = f"piston-worker-{port} 127.0.0.1\\nother-job 10.0.0.1\\npiston-worker-x n1"
    squeue.write_text(f'#!/bin/sh\n[ "$2" = --states=RUNNING ] && printf "{lines}\\n"\n')
    squeue.chmod(squeue.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PISTON_ENDPOINTS", "slurm")
    assert run(Program("python", "print(1)")).status == "ok"
    squeue.write_text("#!/bin/sh\necho slurmctld is down >&2; exit 1\n")
    with pytest.raises(ProviderError, match="slurmctld is down"):
        run(Program("python", "print(1)"))
    squeue.write_text("#!/bin/sh\n")
    with pytest.raises(ProviderError, match="no job called piston-worker-PORT"):
        run(Program("python", "print(1)"))


def test_news_for_one_who_just_left_reach_the_next():
    async def go():
        pool = endpoints.Endpoints(["http://a"], 1, lambda url: None)
        got = []

        async def hold(name):
            async with pool.hold():
                got.append(name)

        async with pool.hold():
            first, second = (asyncio.create_task(hold(name)) for name in ("first", "second"))
            await asyncio.sleep(0.01)
        first.cancel()  # which has just been offered the token, and has not heard yet
        await asyncio.wait_for(second, 60)
        assert got == ["second"]
        assert pool.all[0].free == 1

    asyncio.run(go())
