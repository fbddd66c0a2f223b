"""The openai engine against a real HTTP server on the loopback: outages, refusals and nonsense."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from r1_engines.openai import openai
from r1_engines.reply import read_reply
from r1_engines.vllm import vllm
from r1cli import Completion, Draw, Prompt, ProviderError, Sampling, UsageError, endpoint

KEY = "sk-very-secret"
MODELS = [{"id": "m", "owned_by": "vllm"}, {"id": "other"}]


def choices(*texts: str, finish: str = "stop", tokens: int | None = None, **usage: Any) -> Any:
    found = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        for i, text in enumerate(texts)
    ]
    total = sum(len(text.split()) for text in texts) if tokens is None else tokens
    return {"choices": found, "usage": {"completion_tokens": total, **usage}}


def last(body: dict[str, Any]) -> str:
    return body["prompt"] if "prompt" in body else body["messages"][-1]["content"]


def echo(body: dict[str, Any]) -> Any:
    return choices(f"{last(body)} {body.get('seed', 0)}")


class Server:
    """Answers posts by `reply(body)`: a dict, None to hang up, or a status, headers and bytes."""

    def __init__(self, port: int = 0) -> None:
        self.reply: Callable[[dict[str, Any]], Any] = echo
        self.models: Any = {"data": MODELS}
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.open = self.most_open = 0
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                known = server.models
                self.send(known if isinstance(known, tuple) else (200, {}, dump(known)))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.lock:
                    server.bodies.append(body)
                    server.paths.append(self.path)
                    server.headers.append(dict(self.headers))
                    server.open += 1
                    server.most_open = max(server.most_open, server.open)
                answer = server.reply(body)
                with server.lock:
                    server.open -= 1
                if answer is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                if isinstance(answer, dict) and "prompt" in body:
                    for choice in answer["choices"]:
                        choice["text"] = choice.pop("message")["content"]
                self.send(answer if isinstance(answer, tuple) else (200, {}, dump(answer)))

            def send(self, answer: Any) -> None:
                status, headers, data = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = int(headers.get("Content-Length", 0)) > len(data)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: object) -> None:
                pass  # a client that hangs up is what is tested

        self.http = Quiet(("127.0.0.1", port), Handler)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def first(self, failures: int, failure: Any) -> None:
        """Fail `failures` times, then answer."""
        reply = self.reply
        self.reply = lambda body: failure if len(self.bodies) <= failures else reply(body)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    server = Server()
    yield server
    server.close()


def user(text: str) -> Prompt:
    return [{"role": "user", "content": text}]


def draw(
    server: Server, *prompts: Prompt, sampling: Sampling | None = None, **args: Any
) -> list[list[Completion]]:
    with openai(**{"model": "m", "url": server.url, **args}) as engine:
        return engine.generate(prompts or [user("hi")], sampling or Sampling())


def test_the_request_says_what_the_sampling_says(server: Server) -> None:
    sampling = Sampling(temperature=0.6, top_p=0.95, top_k=20, max_tokens=99, n=2, seed=7)
    prompt = [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]
    [[one, two]] = draw(server, prompt, sampling=sampling)
    assert (one, two) == ("hi 7", "hi 8")
    assert server.paths == ["/v1/chat/completions"] * 2
    said = {"model": "m", "messages": prompt, "temperature": 0.6, "top_p": 0.95, "top_k": 20}
    said |= {"max_tokens": 99, "min_p": 0.0, "repetition_penalty": 1.0}
    assert {body.pop("seed") for body in server.bodies} == {7, 8}
    assert server.bodies == [said, said]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_only_servers_that_know_them_get_fields_beyond_the_protocol(server: Server) -> None:
    server.models = {"data": [{"id": "m", "owned_by": "openai"}]}
    draw(server)
    assert set(server.bodies[0]) == {
        *("model", "messages", "temperature", "top_p", "max_tokens", "seed")
    }
    draw(server, extra_body={"max_tokens": None, "max_completion_tokens": 5, "seed": None})
    assert "max_tokens" not in server.bodies[1] and "seed" not in server.bodies[1]
    assert server.bodies[1]["max_completion_tokens"] == 5
    draw(server, chat_template_kwargs={"enable_thinking": False})
    with vllm(model="m", url=server.url, chat_template_kwargs={"enable_thinking": False}) as engine:
        engine.generate([user("hi")], Sampling())
    for body in server.bodies[2:]:
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert len(server.bodies) == 4


def test_a_text_is_sent_as_it_is(server: Server) -> None:
    draw(server, "once upon", user("hi"))
    assert server.paths.count("/v1/completions") == 1
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]
    [[completion]] = draw(server, messages, chat=False)
    assert server.bodies[-1]["prompt"] == "S\n\nhi" and completion.startswith("S\n\nhi ")


def test_an_answer_is_begun_only_where_the_server_is_said_to_continue_it(server: Server) -> None:
    begun = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "<think>\n"}]
    with pytest.raises(
        UsageError, match="server at a url cannot be made to begin answers with '<think>"
    ):
        draw(server, begun)
    extra = {"continue_final_message": True, "add_generation_prompt": False}
    server.reply = lambda body: choices("two")
    [[completion]] = draw(server, begun, extra_body=extra)
    assert (completion, completion.prefill) == ("<think>\ntwo", "<think>\n")
    assert server.bodies[-1]["continue_final_message"] and server.bodies[-1]["messages"] == begun


def test_greedy_is_one_completion_whatever_n(server: Server) -> None:
    [group] = draw(server, sampling=Sampling(temperature=0, n=5))
    assert len(group) == 1 and "n" not in server.bodies[0]


def test_many_prompts_keep_their_order_and_no_more_are_open_than_said(server: Server) -> None:
    def slow(body: dict[str, Any]) -> Any:
        time.sleep(0.002 * (20 - int(last(body))))
        return echo(body)

    server.reply = slow
    prompts = [user(str(number)) for number in range(20)]
    groups = draw(server, *prompts, sampling=Sampling(n=3), concurrency=4)
    assert [[text.split()[0] for text in group] for group in groups] == [
        [str(number)] * 3 for number in range(20)
    ]
    assert 2 <= server.most_open <= 4


def test_equal_prompts_are_drawn_apart_and_the_seed_decides(server: Server) -> None:
    first, second = (draw(server, user("a"), user("a"), sampling=Sampling(seed=3)) for _ in "ab")
    assert first == second and first[0] != first[1]
    assert draw(server, user("a"), sampling=Sampling(seed=4))[0] != first[0]
    huge = Sampling(seed=10**18, n=2)
    draw(server, sampling=huge)
    assert server.bodies[-1]["seed"] < 2**31


def test_a_cut_answer_is_truncated(server: Server) -> None:
    server.reply = lambda body: choices("so", finish="length", tokens=1)
    [[completion]] = draw(server)
    assert completion.truncated and completion.tokens == 1
    assert reply({"message": {"content": "so"}, "finish_reason": "model_length"}).truncated
    server.reply = lambda body: choices("")
    [[completion]] = draw(server)
    assert completion == "" and not completion.truncated


def reply(choice: dict[str, Any], **rest: Any) -> Any:
    return read_reply({"choices": [choice], **rest}, prefill="").completion


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_stands_in_the_text_again(name: str) -> None:
    done = reply({"message": {"content": "\n6", name: "2+4"}, "finish_reason": "stop"})
    assert done == "<think>2+4</think>\n6"
    assert (done.reasoning, done.answer) == ("2+4", "\n6")
    cut = reply({"message": {"content": None, name: "2+"}, "finish_reason": "length"})
    assert (cut, cut.answer, cut.truncated) == ("<think>2+", "", True)
    empty = reply({"message": {"content": None, name: "2+4"}, "finish_reason": "stop"})
    assert empty == "<think>2+4</think>"


def test_text_that_a_server_keeps_back_is_missed(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.reply = lambda body: choices("", tokens=1)
    assert draw(server, user("a")) == [[""]] and not caplog.text  # ended at once
    server.reply = lambda body: choices("", tokens=9)
    assert draw(server, *map(user, "ab")) == [[""], [""]]
    assert caplog.text.count("answers are empty, though the endpoint counts their tokens") == 1


def test_what_the_template_opens_is_put_before(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.reply = lambda body: choices("2+4</think>6")
    [[bare]] = draw(server)
    assert "--engine-arg 'prefill=" in caplog.text and bare.answer == "6"
    caplog.clear()
    [[completion]] = draw(server, prefill="<think>\n")
    assert completion == "<think>\n2+4</think>6" and completion.prefill == "<think>\n"
    server.reply = lambda body: choices("<think>2+4</think>6")
    [[completion]] = draw(server, prefill="<think>\n")
    assert completion == "<think>2+4</think>6" and not caplog.text


def test_tokens_are_the_servers_own_or_marked_as_estimates(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.reply = lambda body: choices("a" * 30, tokens=21, prompt_tokens=4)
    with openai(model="m", url=server.url) as engine:
        [[drawn], [_]] = engine.stream([Draw("p", 0), Draw("p", 1)], Sampling())
    assert drawn.completion.tokens == 21 and not caplog.text
    assert drawn.usage == {"prompt_tokens": 4, "completion_tokens": 21}
    server.reply = lambda body: {**choices("é" * 5), "usage": None}
    assert [c.tokens for [c] in draw(server, "a", "b")] == [3, 3]
    assert caplog.text.count("estimates") == 1
    for count in (-5, 10**30, True):
        server.reply = lambda body, count=count: choices("é" * 5, tokens=count)
        assert [c.tokens for [c] in draw(server, "a")] == [3]


CUT = (200, {"Content-Length": "500"}, dump(choices("half"))[:40])


@pytest.mark.parametrize(
    "failure",
    [
        (500, {}, b"oops"),
        (503, {}, b""),
        (429, {"Retry-After": "0"}, b"slow down"),
        (200, {}, b"<html>a proxy</html>"),
        (200, {}, b'{"choices": []}'),
        (200, {}, b'{"choices": [3]}'),
        (200, {}, b'{"error": "overloaded"}'),
        (200, {}, dump(choices("gone", finish="abort"))),
        (200, {}, dump(choices("half", finish="insufficient_system_resource"))),
        (200, {}, dump({"choices": [{"message": {"content": [1]}}]})),
        (200, {"Content-Encoding": "gzip"}, b"no gzip"),
        (200, {}, b"[" * 100_000),
        CUT,
        None,
    ],
    ids=[
        *("500", "503", "429", "html", "no-choice", "number", "error", "abort", "full", "parts"),
        *("gzip", "deep", "cut", "hang-up"),
    ],
)
def test_a_passing_failure_is_tried_again(server: Server, failure: Any) -> None:
    server.first(3, failure)
    assert draw(server) == [["hi 0"]]
    assert len(server.bodies) == 4


@pytest.mark.parametrize("failure", [(500, {}, b"oops\n!"), (200, {}, b"garbage"), CUT, None])
def test_a_lasting_failure_ends_after_so_many_tries(
    server: Server, failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.reply = lambda body: failure
    with pytest.raises(ProviderError, match=r"^endpoint http://127\S+ failed: .*, after 4 tries$"):
        draw(server, *map(user, "abcdefgh"), tries=4, patience=0, concurrency=2)
    assert len(server.bodies) <= 4 * 4  # the others are not asked, or begun
    assert caplog.text.count("try 2 in") == 1  # a wait is said, and many are one line


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 418, 307])
def test_a_refusal_is_final_and_the_key_is_never_said(server: Server, status: int) -> None:
    said = f"no\n{'x' * (endpoint.SHOWN - 8)}{KEY} and {'y' * 999}".encode()
    server.reply = lambda body: (status, {}, said)
    with pytest.raises(ProviderError, match=f"failed: status {status}: no xxx") as caught:
        draw(server, *(user(str(number)) for number in range(50)), concurrency=4)
    assert "sk-" not in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert len(server.bodies) <= 8  # the others are not asked
    keyed = "(key: OPENAI_API_KEY was sent)" in str(caught.value)
    assert keyed == (status in (401, 403))


def test_an_address_that_moved_ends_it_with_where_to(server: Server) -> None:
    there = f"https://user:secret@elsewhere/v1?key={KEY}"
    server.reply = lambda body: (308, {"Location": there}, b"")
    with openai(model="m", url=server.url, concurrency=1) as engine:
        draws = [Draw(user("x"), seed) for seed in range(2)]
        with pytest.raises(
            ProviderError, match=r"308: it is at https://\*\*\*@elsewhere/v1\S+ now"
        ):
            list(engine.stream(draws, Sampling()))
    assert len(server.bodies) == 1


def test_no_proxy_leads_to_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert draw(server, listed=True) == [["hi 0"]]


def test_retry_after_is_waited_for(server: Server) -> None:
    server.first(1, (429, {"Retry-After": "1"}, b""))
    started = time.monotonic()
    assert draw(server) == [["hi 0"]]
    assert time.monotonic() - started >= 1


def test_a_retry_after_may_be_a_date() -> None:
    from httpx import Response

    def wait(said: str) -> float:
        return endpoint.retry_after(Response(429, headers={"Retry-After": said}))

    assert wait("Fri, 31 Dec 1999 23:59:59 GMT") == 0 and wait("1.5") == 1.5
    assert wait("Fri, 31 Dec 2199 23:59:59 GMT") > 1e6
    assert wait("soon") == wait("-1") == wait("nan") == wait("inf") == wait("") == 0


def test_a_slow_answer_is_waited_for_twice(server: Server) -> None:
    release = threading.Event()
    server.reply = lambda body: release.wait(60) and echo(body)
    with pytest.raises(ProviderError, match=r"no answer within 0.1 s, after 2 tries"):
        draw(server, timeout=0.1, patience=0)
    release.set()


@pytest.mark.parametrize("failure", [CUT, None, (504, {}, b"")], ids=["cut", "hang-up", "504"])
def test_a_question_that_is_never_answered_is_not_taken_for_an_endpoint_that_is_down(
    server: Server, failure: Any
) -> None:
    server.reply = lambda body: failure if "bad" in last(body) else echo(body)
    with openai(model="m", url=server.url, tries=3) as engine:
        for prompts in (["good", "bad"], ["bad"]):  # alone, too: nobody is answered meanwhile
            draws = [Draw(user(prompt), 0) for prompt in prompts]
            drawn = [one for found in engine.stream(draws, Sampling()) for one in found]
            assert {prompts[one.position]: one.completion for one in drawn}.pop("bad") is None
            assert len(drawn) == len(prompts)


def test_a_server_that_asks_to_wait_for_a_day_is_waited_for_as_long_as_patience(
    server: Server,
) -> None:
    server.reply = lambda body: (429, {"Retry-After": "86400"}, b"come back tomorrow")
    started = time.monotonic()
    with pytest.raises(ProviderError, match=r"status 429: come back tomorrow, after 2 tries"):
        draw(server, patience=0.2)
    assert time.monotonic() - started < 60, "not for what it asks"


def test_nobody_there_is_known_at_the_start(server: Server) -> None:
    started = time.monotonic()
    with pytest.raises(ProviderError, match=r"endpoint http://127.0.0.1:9/v1 failed: ConnectError"):
        draw(server, url="http://127.0.0.1:9/v1")
    assert time.monotonic() - started < 60, "not for as long as its patience, 600 s"


def test_a_missing_model_is_said_with_those_that_are_there(server: Server) -> None:
    with pytest.raises(UsageError, match=r"has no model 'n'; known: m, other$"):
        draw(server, model="n")
    assert server.bodies == []
    assert draw(server, model="n", listed=False) == [["hi 0"]]
    server.models = (404, {}, b"not here")
    assert draw(server, model="n") == [["hi 0"]]


def test_a_prompt_that_fills_the_context_costs_no_other(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    full = (400, {}, b"This model's maximum context length is 9 tokens")
    server.reply = lambda body: full if len(last(body)) > 9 else echo(body)
    long, short = draw(server, user("a" * 10), user("b"), sampling=Sampling(n=2))
    assert [(c, c.tokens, c.truncated) for c in long] == [("", 0, True)] * 2
    assert len(short) == 2 and all(short)
    assert "2 samples are empty: their prompts fill the model's context" in caplog.text


def test_too_many_new_tokens_are_not_taken_for_a_long_prompt(server: Server) -> None:
    full = (400, {}, b"maximum context length is 9 tokens, you asked for 512")
    server.reply = lambda body: full if body["max_tokens"] > 9 else echo(body)
    with pytest.raises(UsageError, match="9 tokens, you asked for 512; lower --max-tokens"):
        draw(server)


def test_where_a_loop_runs_already(server: Server) -> None:
    async def caller() -> Any:
        return draw(server)

    before = threading.active_count()
    assert asyncio.run(caller()) == [["hi 0"]]
    assert threading.active_count() <= before + 1  # of the server; the engine's own is gone


def test_ctrl_c_ends_it_at_once_and_asks_for_no_more(server: Server) -> None:
    release = threading.Event()

    def interrupts(body: dict[str, Any]) -> Any:
        if len(server.bodies) == 2 and body is server.bodies[1]:  # one signal, whoever looks
            os.kill(os.getpid(), signal.SIGINT)
        release.wait(60)
        return echo(body)

    server.reply = interrupts
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        draw(server, *map(user, "abcdefgh"), concurrency=2)
    assert time.monotonic() - started < 30 and len(server.bodies) == 2
    release.set()


def test_a_lone_surrogate_is_sent(server: Server) -> None:
    assert draw(server, user("six \ud800")) == [["six ? 0"]]


def test_without_a_key_none_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    draw(server)
    assert "Authorization" not in server.headers[0]
    monkeypatch.setenv("OTHER", " other\n")
    draw(server, api_key_env="OTHER")
    assert server.headers[1]["Authorization"] == "Bearer other"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"url": ""}, "no address; give --engine-arg url=... or OPENAI_BASE_URL"),
        ({"url": "localhost:8000"}, "url = 'localhost:8000' is no address; write http"),
        ({"url": "http://me:pass@h/v1?a=b"}, r"url = 'http://\*\*\*@h/v1\?a=b' is no address"),
        ({"url": "http://h:99999/v1"}, "url = 'http://h:99999/v1' is no address"),
        ({"url": "http://[::1/v1"}, "is no address; write http"),
        ({"concurrency": 0}, "concurrency = 0 must be more than 0"),
        ({"timeout": float("nan")}, "timeout = nan must be more than 0"),
        ({"tries": 0}, "tries = 0 must be more than 0"),
        ({"patience": -1}, "patience = -1 must be 0 or more"),
        ({"extra_body": {"n": 3}}, "extra_body may not say 'n'"),
        ({"extra_body": {"seed": 3}}, "extra_body may not say 'seed'"),
    ],
)
def test_bad_arguments_are_said(server: Server, args: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draw(server, **args)


def test_a_key_of_strange_letters(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\u2026")
    with pytest.raises(UsageError, match="key in OPENAI_API_KEY holds characters"):
        draw(server)


def test_a_server_that_is_restarted_while_it_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.05)
    here = Server()
    again: list[Server] = []

    def dies(body: dict[str, Any]) -> Any:
        if len(here.bodies) < 10:
            return echo(body)
        with here.lock:
            first = not again
            again.append(here)
        if first:
            threading.Thread(target=restart, daemon=True).start()
        return None

    def restart() -> None:
        here.close()
        time.sleep(0.3)
        again.append(Server(here.port))

    here.reply = dies
    groups = draw(here, *(user(str(number)) for number in range(40)), concurrency=8)
    assert [group[0].split()[0] for group in groups] == [str(number) for number in range(40)]
    assert again[-1].bodies
    again[-1].close()


def sums(body: dict[str, Any]) -> Any:
    """Right where the first number is odd: a score that can be counted beforehand."""
    total = eval(re.search(r"Compute ([-+ \d]+)\.", last(body))[1])
    right = int(re.search(r"\d", last(body))[0]) % 2
    text = f"<think>so</think><answer>{total if right else total + 1}</answer>"
    return choices(text)


ENGINE = ("--engine", "openai", "--model", "m")


def evaluated(r1: Any, server: Server, *args: str) -> Any:
    pytest.importorskip("datasets", reason="problems are rows of a datasets.Dataset")
    return r1(
        *("eval", "chain_sums", "--json", *ENGINE, "--engine-arg", f"url={server.url}"),
        *("--limit", "150", "--n", "2", *args),
    )


def expected(server: Server) -> float:
    firsts = {last(body) for body in server.bodies}
    return sum(int(re.search(r"\d", text)[0]) % 2 for text in firsts) / len(firsts)


def test_eval_gives_the_score_that_the_answers_deserve(r1: Any, server: Server) -> None:
    server.reply = sums
    done = evaluated(r1, server)
    assert done.exit_code == 0, done.stderr
    [score] = json.loads(done.stdout)
    assert score["mean"] == pytest.approx(expected(server)) and 0.2 < score["mean"] < 0.8
    assert (score["problems"], score["samples"], len(server.bodies)) == (150, 2, 300)
    evaluated(r1, server)
    assert len(server.bodies) == 300  # all of it was kept


def test_eval_after_an_outage_goes_on_where_it_was(r1: Any, server: Server) -> None:
    answered: list[tuple[str, int]] = []

    def until_down(body: dict[str, Any]) -> Any:
        if len(answered) >= limit:
            return 503, {}, b"down"
        answered.append((last(body), body["seed"]))
        return sums(body)

    server.reply, limit = until_down, 100
    waits = ("--engine-arg", "patience=0", "--engine-arg")
    failed = evaluated(r1, server, *waits, "tries=2")
    assert failed.exit_code == 5 and "status 503: down, after 2 tries" in failed.stderr
    limit = 1000
    done = evaluated(r1, server, *waits, "tries=3")  # how it is asked, not what is drawn
    assert done.exit_code == 0, done.stderr
    assert len(answered) == len(set(answered)) == 300
    assert json.loads(done.stdout)[0]["mean"] == pytest.approx(expected(server))
