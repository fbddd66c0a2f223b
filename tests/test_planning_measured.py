"""The plan against memory that real training took, and against what published recipes showed."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "plan.py"
WITHIN = 0.15


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("plan_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize(
    "case",
    [
        "sft deep",
        "sft deep checkpointed",
        "sft gqa",
        "sft accumulated",
        "sft bfloat16",
        "sft lora",
        "sft dora",
        "logits",
        "grpo",
    ],
)
def test_the_plan_is_within_15_percent_of_what_training_took(benchmark, case):
    pytest.importorskip("trl")
    planned = benchmark.planned(case, Path("case")).total
    assert planned == pytest.approx(benchmark.measure(case), rel=WITHIN)


def test_published_recipes_fit_where_they_ran_and_not_where_they_did_not(benchmark):
    verdicts = {
        name: "runs" if benchmark.peak_of_published(name) < 80 * 2**30 else "out of memory"
        for name, (_, seen) in benchmark.PUBLISHED.items()
        if "GB" not in seen
    }
    assert verdicts == {name: benchmark.PUBLISHED[name][1] for name in verdicts}


def test_a_published_measurement_is_met(benchmark):
    (name,) = (name for name, (_, seen) in benchmark.PUBLISHED.items() if "12 GB" in seen)
    assert benchmark.peak_of_published(name) / 1e9 == pytest.approx(12, rel=WITHIN)
