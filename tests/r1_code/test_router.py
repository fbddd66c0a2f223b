"""`r1 serve router` and provider `router`, over real sockets and with a real server process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from loopback.piston import PistonServer
from loopback.router import RouterServer, served
from loopback.server import FAULTS

from r1_code.remote import endpoints, fleet, piston, router_client
from r1cli import (
    Capabilities,
    CodeService,
    Execution,
    Input,
    Limits,
    Program,
    ProgramResult,
    ProviderError,
    UsageError,
)
from r1cli.code import service as code_service

pytest.importorskip("fastapi", reason="pip install 'r1cli[serve]'")
pytest.importorskip("uvicorn", reason="pip install 'r1cli[serve]'")

from r1cli.code.router import router_app

JSON = {"Content-Type": "application/json"}
EVERYTHING = Execution(
    "runtime_error", b"\xff\x00out", b"err\r\n", None, 11, 1.5, 2.5, 3.5, True, "one line"
)


class Echo:
    """stdout is stdin. A program whose source is "wait" waits for `go`."""

    capabilities = Capabilities(languages=("echo", "full"), isolation="none", max_cpu_seconds=20)

    def __init__(self):
        self.go, self.waiting, self.ran, self.closed = threading.Event(), threading.Event(), [], 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        self.closed += 1

    async def run(self, program):
        self.ran.append(program)
        if program.source == "wait":
            self.waiting.set()
            await asyncio.to_thread(self.go.wait, 120)
        if program.source == "no key":
            raise ProviderError("the sandbox wants a key")
        if program.language == "full":
            return ProgramResult([EVERYTHING, EVERYTHING], EVERYTHING, isolation="none")
        return ProgramResult([Execution("ok", given.stdin) for given in program.inputs])


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(fleet, "FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(endpoints, "FIRST_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(endpoints, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(code_service, "FIRST_WAIT_SECONDS", 0.01)
    for name in ("R1_ROUTER_ENDPOINTS", "R1_ROUTER_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def echo():
    echo = Echo()
    yield echo
    echo.go.set()


@pytest.fixture
def url(echo):
    with served(router_app(CodeService("echo", lambda: echo), max_queue=2)) as url:
        yield url


def ask(url, *programs):
    with CodeService("router", lambda: router_client.router(endpoints=url)) as service:
        return service.run(programs)


# -- programs --------------------------------------------------------------------------------------


def test_a_program_arrives_as_it_was_sent(url, echo):
    program = Program(
        language="echo",
        source='é\n"\\ \x00 🙂',
        inputs=[Input(bytes(range(256)), {"in.bin": b"\xfe"}), Input(b"")],
        files={"a.h": b"\r\n\xff"},
        args=["x y", "$HOME"],
        limits=Limits(1.5, 2.5, 333, 444, 5, 6, 7.5),
        stop_at_failure=True,
    )
    [result] = ask(url, program)
    assert echo.ran[0].key() == program.key()
    assert [e.stdout for e in result.executions] == [bytes(range(256)), b""]
    assert result.provider == "router"


def test_a_result_arrives_as_it_was_given(url):
    [result] = ask(url, Program("full", "", [Input(), Input()]))
    assert (result.compilation, [*result.executions]) == (EVERYTHING, [EVERYTHING] * 2)
    assert result.isolation == "none"


def test_half_a_surrogate_pair_arrives_as_a_question(url, echo):
    [result] = ask(url, Program("echo", "a\ud83d"))
    assert (result.status, len(echo.ran)) == ("ok", 1)


def test_the_capabilities_are_those_of_the_provider_behind(url):
    with CodeService("router", lambda: router_client.router(endpoints=url)) as service:
        assert service.capabilities == Capabilities(
            languages=["echo", "full"], isolation="none", max_cpu_seconds=20
        )
        with pytest.raises(UsageError, match="allows cpu_seconds up to 20, not 21"):
            service.run([Program("echo", "", limits=Limits(cpu_seconds=21))])


def test_many_at_once(echo):
    app = router_app(CodeService("echo", lambda: echo))
    programs = [Program("echo", str(i), [Input(b"%d" % i)]) for i in range(200)]
    with served(app) as url:
        results = ask(url, *programs)
    assert [r.executions[0].stdout for r in results] == [b"%d" % i for i in range(200)]
    assert echo.closed == 1


def test_a_batch_in_one_request(url):
    body = {
        "programs": [{"language": "echo", "source": s, "inputs": [{"stdin": "_-8="}]} for s in "ab"]
    }
    answer = httpx.post(f"{url}/execute_batch", json=body)
    told = answer.json()["results"]
    assert [[e["stdout"] for e in r["executions"]] for r in told] == [["_-8="], ["_-8="]]


# -- the queue -------------------------------------------------------------------------------------


def test_a_full_queue_answers_429_and_a_client_waits(url, echo):
    def post(count):
        programs = [{"language": "echo", "source": "wait"}, {"language": "echo", "source": "x"}]
        return httpx.post(f"{url}/execute_batch", json={"programs": programs[:count]}, timeout=120)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(post, 2)
        assert echo.waiting.wait(60)
        full = post(1)
        assert (full.status_code, int(full.headers["retry-after"]) >= 1) == (429, True)
        assert full.json() == {"detail": "the queue of 2 programs has no room"}
        patient = pool.submit(ask, url, Program("echo", "later"))
        while 'r1_router_requests_total{code="429"} 2' not in httpx.get(f"{url}/metrics").text:
            assert not patient.done()
        echo.go.set()
        assert patient.result()[0].status == "ok"
        assert waiting.result().status_code == 200


def test_a_batch_that_can_never_fit_is_refused(url, echo):
    programs = [{"language": "echo", "source": "x"}] * 3
    answer = httpx.post(f"{url}/execute_batch", json={"programs": programs})
    assert (answer.status_code, echo.ran) == (400, [])
    assert answer.json()["detail"] == "3 programs in a batch, and the queue holds 2"


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "JSON"),
        (b"[]", "body"),
        (b"{}", "programs"),
        (b'{"programs": [{"language": "echo"}]}', "source"),
        (b'{"programs": [{"language": "e", "source": "", "inputs": [{"stdin": "$"}]}]}', "base64"),
        (b'{"programs": [{"language": "e", "source": "", "limits": {"memory_mb": 0}}]}', "memory"),
        (b'{"programs": [{"language": "awk", "source": ""}]}', "has no language 'awk'"),
        (b'{"scripts": ["1"], "languages": ["echo"], "timeout": 0, "request_timeout": 1}', "timeo"),
    ],
)
def test_a_bad_request_is_one_line(url, echo, body, said):
    answer = httpx.post(f"{url}/execute_batch", content=body, headers=JSON)
    assert (answer.status_code, echo.ran) == (400, [])
    assert said in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


def test_a_provider_that_cannot_go_on_is_a_sandbox_error_at_the_client(url):
    [result] = ask(url, Program("echo", "no key"))
    assert result.status == "sandbox_error"
    assert "the sandbox wants a key" in result.executions[0].message


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_between_is_tried_again_and_then_a_sandbox_error(fault, monkeypatch):
    monkeypatch.setattr(router_client, "SLACK_SECONDS", 0.0)
    limits = Limits(cpu_seconds=0.5, wall_seconds=0.5, compile_seconds=0.5)

    async def go(url):
        async with router_client.router(endpoints=url) as provider:
            server.faults.append(fault)
            once = await provider.run(Program("python", "1", limits=limits))
            server.faults.extend([fault] * 50)
            often = await provider.run(Program("python", "2", limits=limits))
            assert [one.free for one in provider.fleet.endpoints.all] == [64]
            return once, often

    with RouterServer() as server:
        once, often = asyncio.run(go(server.url))
    assert once.executions[0].stdout == b"\xff\x00"
    assert often.status == "sandbox_error"
    assert server.count("execute") == 2 + fleet.TRIES


def test_what_is_no_router_is_said(url):
    with RouterServer(health={"status": "ok"}) as server, pytest.raises(ProviderError) as error:
        ask(server.url, Program("python", ""))
    assert "no `r1 serve router`; see argument 'endpoints', R1_ROUTER_ENDPOINTS" in str(error.value)


def test_no_router_named():
    with pytest.raises(ProviderError, match="R1_ROUTER_ENDPOINTS="):
        router_client.router()


# -- the key, health and metrics -------------------------------------------------------------------


def test_a_key_is_wanted_for_all_but_health(echo, monkeypatch):
    program = {"programs": [{"language": "echo", "source": ""}]}
    with served(router_app(CodeService("echo", lambda: echo), key="sesame")) as url:
        for key in ("", "Bearer wrong", "sesame", "Bearer sesameé"):
            headers = {"Authorization": key.encode()} if key else {}
            for answer in (
                httpx.post(f"{url}/execute_batch", json=program, headers=headers),
                httpx.get(f"{url}/metrics", headers=headers),
            ):
                assert answer.status_code == 401
        assert echo.ran == []
        assert httpx.get(f"{url}/health").status_code == 200
        with pytest.raises(ProviderError, match="status 401.*R1_ROUTER_API_KEY"):
            ask(url, Program("echo", ""))
        monkeypatch.setenv("R1_ROUTER_API_KEY", "sesame")
        assert ask(url, Program("echo", ""))[0].status == "ok"


def test_health_and_metrics(url):
    ask(url, Program("echo", ""), Program("full", ""))
    told = httpx.get(f"{url}/health").json()
    assert (told["status"], told["provider"]) == ("ok", "echo")
    answer = httpx.get(f"{url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'r1_router_programs_total{status="ok"} 1' in lines
    assert 'r1_router_programs_total{status="runtime_error"} 1' in lines
    assert 'r1_router_requests_total{code="200"} 4' in lines
    assert "r1_router_queue 0" in lines
    assert "r1_router_queue_limit 2" in lines


# -- open-r1's clients -----------------------------------------------------------------------------


@pytest.fixture
def python_url():
    with PistonServer() as server:
        service = CodeService("piston", lambda: piston.piston(endpoints=server.url))
        with served(router_app(service)) as url:
            yield url


def scripts(url, *scripts, language="python", timeout=5):
    body = {"scripts": scripts, "languages": [language] * len(scripts)}
    body |= {"timeout": timeout, "request_timeout": timeout - 1}
    answer = httpx.post(f"{url}/execute_batch", json=body, timeout=120)
    assert answer.status_code == 200
    return answer.json()


def test_a_cell_ends_in_a_value(python_url):
    cell = "\n        import subprocess, sys\n        def f():\n            return 'half'\n"
    cell += "        print(f())\n        0.5"
    [row] = scripts(python_url, cell)
    assert row == {
        "execution": {
            "results": [{"text": "0.5", "is_main_result": True}],
            "logs": {"stdout": ["half\n"], "stderr": []},
            "error": None,
            "execution_count": 1,
        },
        "text": "0.5",
        "exception_str": None,
    }


def test_a_script_that_only_prints(python_url):
    [row] = scripts(python_url, "print('1\\n2')")
    assert (row["text"], row["execution"]["results"]) == ("1\n2", [])


def test_a_script_of_another_language(python_url):
    [row] = scripts(python_url, "console.log(6 * 7)", language="javascript")
    assert (row["text"], row["exception_str"]) == ("42", None)


def test_a_script_without_output(python_url):
    [row] = scripts(python_url, "x = 1")
    assert (row["text"], row["exception_str"]) == ("", "no output")


def test_scripts_that_fail_fail_no_other(python_url):
    fine, raises, late, broken = scripts(
        python_url, "1", "1 / 0", "while True: pass", "def (", timeout=4
    )
    assert (fine["text"], fine["exception_str"]) == ("1", None)
    error = raises["execution"]["error"]
    assert (error["name"], error["value"]) == ("ZeroDivisionError", "division by zero")
    assert raises["exception_str"].startswith("runtime_error")
    assert (late["execution"], late["text"]) == (None, None)
    assert late["exception_str"].startswith("time_limit")
    assert broken["execution"]["error"]["name"] == "SyntaxError"


def test_a_script_that_cannot_be_run_is_told_in_its_row(python_url):
    [row] = scripts(python_url, "x", language="cobol")
    assert row["execution"] is None
    assert "has no language 'cobol'" in row["exception_str"]


# -- the command -----------------------------------------------------------------------------------


def test_sigterm_finishes_what_runs_and_takes_nothing_more(tmp_path):
    go = tmp_path / "go"
    source = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.05)\n"
    source += "print('done')"
    program = {"programs": [{"language": "python", "source": source}]}
    with PistonServer() as server, ThreadPoolExecutor() as pool:
        command = [sys.executable, "-m", "r1cli", "serve", "router", "--provider", "piston"]
        command += ["--arg", f"endpoints={server.url}", "--port", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
        line = process.stderr.readline()
        assert line.startswith("r1: serving code provider 'piston' at http://127.0.0.1:"), line
        url = line.split()[-1]
        answer = pool.submit(httpx.post, f"{url}/execute_batch", json=program, timeout=120)
        while not server.running:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        refused = False
        while not refused:
            try:
                httpx.get(f"{url}/health")
            except httpx.TransportError:
                refused = True
        assert not answer.done()
        go.touch()
        assert b"ZG9uZQo=" in answer.result().content
        _, rest = process.communicate(timeout=120)
    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in rest


def test_a_provider_that_cannot_be_had_is_one_line(r1):
    answer = r1("serve", "router", "--provider", "piston")
    assert answer.exit_code == 5
    assert answer.stderr.startswith("error: code provider 'piston' needs a server")


def test_an_address_that_is_taken_is_one_line(r1):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = r1("serve", "router", "--port", port)
    assert answer.exit_code == 2
    assert answer.stderr == f"error: --host 127.0.0.1 --port {port}: Address already in use\n"


def test_no_fastapi(r1, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    answer = r1("serve", "router")
    assert answer.exit_code == 3
    assert "pip install 'r1cli[serve]'" in answer.stderr
