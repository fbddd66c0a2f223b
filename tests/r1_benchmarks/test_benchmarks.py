import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="problems are datasets.Dataset objects")

from r1cli import Benchmark, Sampling
from r1cli.dataset import bind_dataset, load_rows, pick_columns, rename
from r1cli.plugins import Plugins

NAMES = ["aime24", "aime25", "countdown", "gsm8k", "math_500"]
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = [
    ("aime24", "bench/aime24.jsonl", 30),
    ("aime25", "bench/aime25.jsonl", 30),
    ("gsm8k", "bench/gsm8k_test.jsonl", 1319),
    ("math_500", "bench/math_500.jsonl", 500),
    ("countdown", "countdown/countdown_scored.jsonl", 950),
]


@pytest.fixture(scope="module")
def plugins():
    return Plugins(
        EntryPoint(name=name, value=name, group="r1cli.plugins")
        for name in ("r1_benchmarks", "r1_data")
    )


def problems(benchmark, dataset, args, plugins):
    """The rows as an evaluation sees them, and the prompts."""
    rows = load_rows(dataset, args, plugins)
    rows = rename(rows, pick_columns(rows, benchmark.columns, "a test"), "a test").to_list()
    return rows, [benchmark.prompt.format(**row) for row in rows]


def test_all_are_registered(plugins):
    assert plugins["benchmarks"].names() == NAMES
    assert not any(plugin.problem or plugin.warnings for plugin in plugins.loaded)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_complete(plugins, name):
    benchmark = plugins["benchmarks"].get(name).load()
    assert isinstance(benchmark, Benchmark)
    assert benchmark.scorer == ("countdown" if name == "countdown" else "accuracy")
    assert benchmark.citation and benchmark.system_prompt is None
    function, args = bind_dataset(benchmark.dataset, benchmark.args, plugins, seed=0, where=name)
    assert function.__name__ == benchmark.dataset and args
    assert "{" not in benchmark.prompt.format(**dict.fromkeys(benchmark.columns, "")).replace(
        "\\boxed{}", ""
    )


@pytest.mark.parametrize(
    ("name", "n"), [("aime24", 64), ("aime25", 64), ("math_500", 4), ("gsm8k", 1)]
)
def test_sampling_is_as_published(plugins, name, n):
    assert plugins["benchmarks"].get(name).load().sampling == Sampling(
        temperature=0.6, top_p=0.95, max_tokens=32768, n=n
    )


@pytest.mark.parametrize(("name", "file", "count"), FILES)
def test_every_problem_of_a_local_copy_renders(plugins, name, file, count):
    path = DATA / file
    if not path.exists():
        pytest.skip(f"the real problems are not on this machine: {path}")
    benchmark = plugins["benchmarks"].get(name).load()
    rows, prompts = problems(benchmark, "file", {"path": str(path)}, plugins)
    assert len(prompts) == count
    for row, prompt in zip(rows, prompts, strict=True):
        if name == "countdown":
            assert f"{row['numbers']} with" in prompt and f"is {row['target']}." in prompt
        else:
            assert prompt == (
                f"{row['problem']}\n"
                "Please reason step by step, and put your final answer within \\boxed{}."
            )
            assert str(row["solution"]).strip()
    if name.startswith("aime"):
        assert all(re.fullmatch(r"\d{1,3}", str(row["solution"])) for row in rows)
    if name == "gsm8k":
        assert all(re.search(r"#### -?[\d,.]+$", row["solution"]) for row in rows)


def test_countdown_asks_what_its_dataset_asks(plugins):
    benchmark = plugins["benchmarks"].get("countdown").load()
    rows, prompts = problems(benchmark, benchmark.dataset, benchmark.args, plugins)
    assert len(prompts) == len(set(prompts)) == 1024
    assert prompts == [row["prompt"] for row in rows]
