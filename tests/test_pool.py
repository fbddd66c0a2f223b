"""Rewards that hang, crash, exit, eat memory: real processes, really killed."""

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path

import pytest

from r1cli.errors import PluginError
from r1cli.recipe import Scoring
from r1cli.scoring import BoundReward, Scorer
from r1cli.scoring.process import _marked
from r1cli.types import Completion, Outcome

BAD = """
import asyncio, ctypes, os, sys, threading, time, subprocess
from r1cli import ProviderError

def plain(completions, **columns):
    return [float(len(text)) for text in completions]

def turn(text):
    if text == "loop":
        while True:
            pass
    if text == "sleep":
        time.sleep(1000)
    if text == "c code":
        sum(range(10 ** 12))  # holds the GIL
    if text == "power":
        3 ** 10 ** 9
    if text == "exit":
        os._exit(3)
    if text == "segfault":
        ctypes.string_at(0)
    if text == "memory":
        bytearray(10 * 2 ** 30)
    if text == "abort":
        os.abort()
    if text == "kill":
        os.kill(os.getpid(), 9)
    if text == "close":
        os.closerange(0, 1000)
    if text == "print":
        print("noise" * 100_000, flush=True)
        os.write(1, b"noise")
        sys.stdout.buffer.write(b"more")
    if text == "read":
        assert sys.stdin.read() == "" and os.read(0, 10) == b""
    if text == "daemon":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(0)
    if text == "daemon and exit":
        turn("daemon")
        os._exit(4)
    if text == "child":
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
    if text == "thread":
        threading.Thread(target=time.sleep, args=(1000,)).start()
    if text == "fork":
        if os.fork() == 0:
            return -1.0  # and goes on as a second worker, if it may
        time.sleep(0.1)
    if text == "interrupt":
        raise KeyboardInterrupt
    if text == "raise":
        raise ValueError("mine")
    if text == "sys.exit":
        sys.exit(5)
    if text == "provider":
        raise ProviderError("the judge is down")
    return float(len(text))

def bad(completions):
    return [turn(text) for text in completions]

def pids(completions):
    time.sleep(0.1)
    return [float(os.getpid()) for _ in completions]

def heavy(completions):
    return [float(name in sys.modules) for name in completions]

def grouped(completions, prompts):
    return [float(len(completions)) + turn(text) * 0 for text in completions]

def flaky(completions, *, file):
    for text in completions:
        if text == "once" and not os.path.exists(file):
            open(file, "w").close()
            os._exit(1)
    return [1.0 for _ in completions]
"""

QUICK = Scoring(seconds=0.7, memory_gb=1, workers=2, retries=1)


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "bad_rewards.py").write_text(BAD)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("bad_rewards", None)
    yield importlib.import_module("bad_rewards")
    sys.modules.pop("bad_rewards", None)


@pytest.fixture
def scorer(module, monkeypatch):
    """`scorer("bad")`: an open scorer of that reward, warm, that leaves no process behind."""
    opened, mark = [], f"scorer-of-{uuid.uuid4().hex}"
    monkeypatch.setenv("R1_TEST_MARK", mark)

    def open_(*names, limits=QUICK, **args):
        rewards = [BoundReward(name, getattr(module, name), args) for name in names]
        scorer = Scorer(rewards, limits=limits).__enter__()
        opened.append(scorer)
        # Each worker's first call has more time: for the imports that it makes.
        for text in "abcd":
            score(scorer, [text] * 8, prompts=list(range(8)))
        return scorer

    yield open_
    assert not opened or alive(mark)
    for scorer in opened:
        scorer.__exit__()
    assert alive(mark) == []


def alive(mark):
    """Everything that inherited the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def score(scorer, texts, prompts=None):
    prompts = prompts or ["p"] * len(texts)
    found = scorer.score([Completion(text) for text in texts], prompts, {})
    return found[0] if len(found) == 1 else found


KILLED = {
    "loop": "timeout: no answer within 0.7 s",
    "sleep": "timeout: no answer within 0.7 s",
    "c code": "timeout: no answer within 0.7 s",
    "power": "timeout: no answer within 0.7 s",
    "exit": "crash: the worker ended with exit code 3",
    "segfault": "crash: the worker ended with SIGSEGV",
    "memory": "memory: the limit was reached",
    "abort": "crash: the worker ended with SIGABRT",
    "kill": "crash: the worker ended with SIGKILL",
    "close": "crash: the worker ended with",
    "daemon and exit": "crash: the worker ended with exit code 4",
    "provider": "provider: the judge is down",
}


@pytest.mark.parametrize("bad", KILLED)
def test_only_the_guilty_sample_fails(scorer, bad):
    texts = ["one", "three", bad, "seven", "eleven"]
    found = score(scorer("bad"), texts)
    assert found[2].status == "failed" and found[2].reason.startswith(KILLED[bad])
    del texts[2], found[2]
    assert found == [Outcome("score", float(len(text))) for text in texts]


def test_many_guilty_ones_in_one_batch(scorer):
    texts = ["exit", "fine", "segfault", "loop", "good", "memory", "sleep", "well", "kill"] * 2
    opened = scorer("bad")
    found = score(opened, texts, prompts=list(range(len(texts))))
    assert [o.value for o in found] == [None, 4.0, None, None, 4.0, None, None, 4.0, None] * 2
    assert opened.failures == 12 and opened.last_failure.startswith("reward 'bad', crash: ")


@pytest.mark.parametrize("fine", ["print", "read", "daemon", "child", "thread", "fork", ""])
def test_what_a_reward_may_do(scorer, fine):
    texts = ["one", fine, "three"]
    assert [o.value for o in score(scorer("bad"), texts)] == [float(len(t)) for t in texts]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("raise", r"^reward 'bad' raised ValueError: mine on sample 20 \('raise'\)$"),
        ("sys.exit", r"^reward 'bad' raised SystemExit: 5$"),
    ],
)
def test_a_bug_is_named_with_its_number_in_the_batch(scorer, bad, said):
    texts = [str(n) for n in range(40)]
    texts[20] = bad
    opened = scorer("bad")
    with pytest.raises(PluginError, match=said):
        score(opened, texts, prompts=[n // 4 for n in range(40)])
    assert score(opened, ["still here"])[0].value == 10.0


def test_a_group_fails_together_where_the_reward_reads_groups(scorer):
    texts = ["a", "b", "exit", "c", "d", "e"]
    found = score(scorer("grouped"), texts, prompts=["p", "p", "q", "q", "r", "r"])
    assert [o.value for o in found] == [2.0, 2.0, None, None, 2.0, 2.0]


def test_a_group_is_never_split_and_keeps_its_order(scorer):
    opened = scorer("grouped", "bad")
    texts = ["x" * (n % 7 + 1) for n in range(200)]
    prompts = [[{"role": "user", "content": f"p{n % 5}"}] for n in range(200)]
    grouped, plain = score(opened, texts, prompts=prompts)
    assert {o.value for o in grouped} == {40.0}
    assert [o.value for o in plain] == [float(len(text)) for text in texts]


def test_what_fails_once_is_tried_again(scorer, tmp_path):
    opened = scorer("flaky", file=str(tmp_path / "tried"))
    assert [o.value for o in score(opened, ["once"])] == [1.0]
    assert (tmp_path / "tried").exists() and opened.failures == 0


def test_workers_are_started_without_what_the_trainer_has_imported(scorer):
    pytest.importorskip("numpy")
    found = score(scorer("heavy"), ["torch", "numpy", "pluggy", "r1cli.scoring.reward"])
    assert [o.value for o in found][:2] == [0.0, 0.0] and found[3].value == 1.0


def test_every_worker_is_another_process(scorer):
    found = score(scorer("pids"), [str(n) for n in range(64)], prompts=list(range(64)))
    pids = {int(o.value) for o in found}
    assert os.getpid() not in pids and len(pids) == 2


def test_from_many_threads_at_once(scorer):
    opened, results = scorer("bad"), {}

    def work(number):
        texts = ["x" * number, "exit", "y" * (number + 1)]
        results[number] = [o.value for o in score(opened, texts, prompts=[number] * 3)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [float(n), None, float(n + 1)] for n in range(1, 9)}


def test_a_scorer_opened_in_a_thread_outlives_it(module):
    """The kernel's parent-death signal means the thread that started the worker."""
    opened = []
    thread = threading.Thread(
        target=lambda: opened.append(
            Scorer([BoundReward("bad", module.bad, {})], limits=QUICK).__enter__()
        )
    )
    thread.start()
    thread.join()
    with opened[0] as scorer:
        assert [o.value for o in score(scorer, ["one"])] == [3.0]
        pids = {p.process.pid for p in scorer._dispatch.pool()._seats}
        time.sleep(0.2)
        assert [o.value for o in score(scorer, ["four"])] == [4.0]
        assert {p.process.pid for p in scorer._dispatch.pool()._seats} == pids


def test_inside_a_running_event_loop(scorer):
    opened = scorer("bad")

    async def main():
        return score(opened, ["one", "loop", "three"]), await asyncio.sleep(0, "and on")

    found, after = asyncio.run(main())
    assert [o.value for o in found] == [3.0, None, 5.0] and after == "and on"


def test_after_torch_is_imported(module, scorer):
    pytest.importorskip("torch")
    assert [o.value for o in score(scorer("bad"), ["exit", "one"])] == [None, 3.0]


def test_a_worker_that_dies_between_calls_is_replaced(scorer):
    opened = scorer("bad")
    for seat in opened._dispatch.pool()._seats:
        os.kill(seat.process.pid, signal.SIGKILL)
    time.sleep(0.1)
    assert [o.value for o in score(opened, ["one", "exit"])] == [3.0, None]


def test_a_stopped_worker_is_replaced(scorer):
    opened = scorer("bad")
    for seat in opened._dispatch.pool()._seats:
        os.kill(seat.process.pid, signal.SIGSTOP)
    texts = ["x" * 500_000 + str(n) for n in range(4)]  # more than a pipe holds
    assert [o.value for o in score(opened, texts)] == [500_001.0] * 4


def test_no_worker_outlives_a_parent_killed_without_warning(tmp_path):
    (tmp_path / "bad_rewards.py").write_text(BAD)
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        import sys, time
        sys.path.insert(0, sys.argv[1])
        import bad_rewards
        from r1cli.recipe import Scoring
        from r1cli.scoring import BoundReward, Scorer
        from r1cli.types import Completion
        with Scorer([BoundReward("bad", bad_rewards.bad, {})], limits=Scoring(workers=2)) as scorer:
            scorer.score([Completion("one")], ["p"], {})
            print(*(seat.process.mark for seat in scorer._dispatch.pool()._seats), flush=True)
            scorer.score([Completion("loop")], ["p"], {})
        """)
    )
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        marks = parent.stdout.readline().split()
        time.sleep(0.3)
        assert len(marks) == 2 and all(_marked(mark) for mark in marks)
        parent.kill()
    deadline = time.monotonic() + 5
    while any(_marked(mark) for mark in marks) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_marked(mark) for mark in marks)


def test_workers_that_cannot_start_are_said_once_and_for_all(module, monkeypatch):
    from r1cli.errors import ProviderError
    from r1cli.scoring import process

    monkeypatch.setattr(process, "START", "raise SystemExit(7)")
    with (
        Scorer([BoundReward("bad", module.bad, {})], limits=QUICK) as scorer,
        pytest.raises(ProviderError, match="3 in a row did not start, crash: .*exit code 7"),
    ):
        score(scorer, ["one"])
