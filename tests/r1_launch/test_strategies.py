"""ZeRO-2, ZeRO-3 and FSDP2 for real: two gloo ranks on the CPU share out a tiny model and train it.

What a strategy changes is where tensors are, so the numbers must stay: of SFT those of one process,
of GRPO those of two ranks of plain data parallel, since every rank draws with a seed of its own.
Tolerance: 1e-4 relative for losses and gradient norms (seen: 2e-6), from the order of additions.

A plugin notes, in every rank's run, what the policy writes greedily just before it is saved.
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

from r1cli.sameness import compare

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
PROMPTS, NEW_TOKENS = [[5, 6, 7, 8], [30, 20, 10, 40], [9, 9, 50, 3]], 12
NOTES = f"""
import functools
import json
import os
from pathlib import Path

from r1_trl import policy, sft, sharding

save = policy.save
sft.stop_rate = functools.partial(sft.stop_rate, limit=8)  # blank, it stops after 512 tokens


def save_and_note(trainer, *given):
    import torch

    prompts = torch.tensor({PROMPTS})
    with sharding.whole_model(trainer) as model, torch.no_grad():
        model.eval()
        ids = prompts.to(model.device)
        written = model.generate(ids, do_sample=False, max_new_tokens={NEW_TOKENS})
    if trainer.accelerator.is_main_process:
        Path(os.environ["NOTED"]).write_text(json.dumps(written.tolist()))
    save(trainer, *given)


policy.save = save_and_note
"""


@pytest.fixture(scope="module")
def noted(tmp_path_factory):
    """The environment of a training, which writes what the policy says to `NOTED`."""
    folder = tmp_path_factory.mktemp("plugin")
    info = folder / "notes-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: notes\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[r1cli.plugins]\nnotes = notes\n")
    (folder / "notes.py").write_text(NOTES)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def strategies(*names):
    for name in names or ("zero2", "zero3", "fsdp"):
        absent = name != "fsdp" and importlib.util.find_spec("deepspeed") is None
        skip = pytest.mark.skipif(absent, reason="deepspeed is not installed")
        yield pytest.param(name, marks=skip)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, noted):
    """`trained(trainer, accelerator)`: the run directory, trained once."""
    done = {}

    def get(trainer, accelerator):
        if (trainer, accelerator) not in done:
            directory = tmp_path_factory.mktemp("runs") / f"{trainer}-{accelerator}"
            train(trainer, accelerator, directory, noted)
            done[trainer, accelerator] = directory
        return done[trainer, accelerator]

    return get


def train(trainer, accelerator, directory, environment):
    launch = "{}" if accelerator == "single" else f"{{processes: 2, accelerator: {accelerator}}}"
    sets = (*COMMON, *TRAINERS[trainer], f"launch={launch}")
    done = subprocess.run(
        [sys.executable, "-m", "r1cli", "train", trainer, "--recipe", f"tiny/{trainer}"]
        + [part for assignment in sets for part in ("--set", assignment)]
        + ["--run", str(directory)],
        env={**os.environ, **environment, "NOTED": str(directory.with_suffix(".json"))},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
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


def greedy(directory):
    """What plain transformers makes of the saved policy."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(directory / "model", dtype="float32")
    written = model.generate(torch.tensor(PROMPTS), do_sample=False, max_new_tokens=NEW_TOKENS)
    return written.tolist()


@pytest.mark.parametrize("accelerator", ["ddp", *strategies()])
@pytest.mark.parametrize("trainer", list(TRAINERS))
def test_the_saved_policy_writes_what_it_wrote_in_training(trained, trainer, accelerator):
    directory = trained(trainer, accelerator)
    written = json.loads(directory.with_suffix(".json").read_text())
    assert greedy(directory) == written


@pytest.mark.parametrize("accelerator", ["ddp", *strategies()])
@pytest.mark.parametrize("trainer", list(TRAINERS))
def test_a_run_goes_on_from_a_checkpoint_of_its_ranks(
    trained, noted, tmp_path, trainer, accelerator
):
    """The run as it was after step 2 trains step 3 again, to the same bits."""
    whole = trained(trainer, accelerator)
    again = tmp_path / "run"
    shutil.copytree(whole, again)
    shutil.rmtree(again / "checkpoints" / f"checkpoint-{STEPS}")
    shutil.rmtree(again / "model")
    state = json.loads((again / "run.json").read_text())
    del state["checkpoint"]
    (again / "run.json").write_text(json.dumps({**state, "status": "interrupted"}))

    train(trainer, accelerator, again, noted)
    assert "from step 2" in (again / "logs" / "rank-0.log").read_text()
    assert [what for what in compare(whole, again) if what.differing] == []


@pytest.mark.parametrize("accelerator", [*strategies("zero2_offload", "zero3_offload")])
def test_an_optimizer_on_the_cpus_learns_the_same(trained, accelerator):
    """Within the tolerance of another implementation of Adam: DeepSpeed's own, compiled here."""
    expected = learning(trained("sft", "single"))
    assert learning(trained("sft", accelerator)) == approximately(expected)
