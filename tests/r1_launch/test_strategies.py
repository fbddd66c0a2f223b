"""ZeRO-2, ZeRO-3 and FSDP2 for real: two gloo ranks on the CPU share out a tiny model and train it.

What a strategy changes is where tensors are, so the numbers must stay: of SFT those of one process,
of GRPO those of two ranks of plain data parallel, since every rank draws with a seed of its own.
Tolerance: 1e-4 relative for losses and gradient norms (seen: 2e-6), from the order of additions.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.train]

TOLERANCE = 1e-4
STEPS = 3
COMMON = (
    "model={name: r1_tiny_blank}",
    "dataset.args.size=32",
    "benchmarks=[]",
    f"trainer.args.max_steps={STEPS}",
    "trainer.args.logging_steps=1",
    "trainer.args.save_steps=2",
    "trainer.args.warmup_steps=0",
)
TRAINERS = {
    "sft": ("batch={prompts_per_step: 8}",),
    "grpo": (
        "batch={prompts_per_step: 4, group_size: 4}",
        "trainer.args.max_completion_length=16",
        # A blank model gets nothing right, but differs in length: there is something to learn.
        "rewards=[{name: length, args: {unit: characters}}]",
        # Makes `model.generate` sample under every strategy, so that all draw the same.
        "trainer.args.generation_kwargs={do_sample: true}",
    ),
}
REFERENCE = {"sft": "single", "grpo": "ddp"}


def strategies():
    for name in ("zero2", "zero3", "fsdp"):
        absent = name != "fsdp" and importlib.util.find_spec("deepspeed") is None
        skip = pytest.mark.skipif(absent, reason="deepspeed is not installed")
        yield pytest.param(name, marks=skip)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`trained(trainer, accelerator)`: the run directory, trained once."""
    done = {}

    def get(trainer, accelerator):
        if (trainer, accelerator) not in done:
            directory = tmp_path_factory.mktemp("runs") / f"{trainer}-{accelerator}"
            train(trainer, accelerator, directory)
            done[trainer, accelerator] = directory
        return done[trainer, accelerator]

    return get


def train(trainer, accelerator, directory):
    launch = "{}" if accelerator == "single" else f"{{processes: 2, accelerator: {accelerator}}}"
    sets = (*COMMON, *TRAINERS[trainer], f"launch={launch}")
    done = subprocess.run(
        [sys.executable, "-m", "r1cli", "train", trainer, "--recipe", f"tiny/{trainer}"]
        + [part for assignment in sets for part in ("--set", assignment)]
        + ["--run", str(directory)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def learning(directory):
    """Loss and gradient norm of every step."""
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: (row["loss"], row["grad_norm"]) for row in rows if "loss" in row}


def approximately(expected):
    return {
        step: tuple(pytest.approx(value, rel=TOLERANCE, abs=1e-6) for value in values)
        for step, values in expected.items()
    }


def weights(directory):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(directory / "model", dtype="float32").state_dict()


@pytest.mark.parametrize("accelerator", [*strategies()])
@pytest.mark.parametrize("trainer", list(TRAINERS))
def test_a_shared_model_learns_what_a_whole_one_learns(trained, trainer, accelerator):
    whole, shared = trained(trainer, REFERENCE[trainer]), trained(trainer, accelerator)
    expected = learning(whole)
    assert sorted(expected) == [1, 2, 3]
    assert all(norm > 0.1 for _, norm in expected.values()), "there must be something to learn"
    assert learning(shared) == approximately(expected)

    before, after = weights(whole), weights(shared)
    assert before.keys() == after.keys()
    # Adam divides by a gradient's size: where that is nearly nothing, rounding decides the sign.
    apart = [(before[name] - after[name]).abs().mean().item() for name in before]
    assert max(apart) < 1e-4
    state = json.loads((shared / "run.json").read_text())
    assert state["status"] == "finished"


@pytest.mark.parametrize("accelerator", [*strategies()][1:])
@pytest.mark.parametrize("trainer", list(TRAINERS))
def test_every_rank_holds_half_of_the_parameters(trained, trainer, accelerator):
    directory = trained(trainer, accelerator)
    kind = "DTensor" if accelerator == "fsdp" else "Tensor"
    for rank in (0, 1):
        said = (directory / "logs" / f"rank-{rank}.log").read_text()
        [(mine, whole, kinds)] = re.findall(
            r"(\d+) of (\d+) parameters on this rank, as (.*)", said
        )
        assert kinds == kind
        assert int(mine) == pytest.approx(int(whole) / 2, rel=0.01)


@pytest.mark.parametrize("accelerator", [*strategies()])
def test_a_run_goes_on_from_a_checkpoint_of_its_ranks(trained, tmp_path, accelerator):
    """The run as it was after step 2 trains step 3 again, to the same model."""
    whole = trained("sft", accelerator)
    again = tmp_path / "run"
    shutil.copytree(whole, again)
    shutil.rmtree(again / "checkpoints" / f"checkpoint-{STEPS}")
    shutil.rmtree(again / "model")
    state = json.loads((again / "run.json").read_text())
    del state["checkpoint"]
    (again / "run.json").write_text(json.dumps({**state, "status": "interrupted"}))

    train("sft", accelerator, again)
    assert learning(again) == approximately(learning(whole))
    before, after = weights(whole), weights(again)
    apart = [(before[name] - after[name]).abs().mean().item() for name in before]
    assert max(apart) < 1e-4
