"""A run that is cut off and goes on ends like one that was not: the same bits."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from r1_trl import checkpoint_ranks, resume
from r1cli import UsageError
from r1cli import recipe_file as recipes
from r1cli.pipeline import train
from r1cli.run import Run
from r1cli.sameness import compare

pytestmark = pytest.mark.train

COMMON = (
    "model={name: r1_tiny_blank}",
    "benchmarks=[]",
    "callbacks=[]",
    "trainer.args.warmup_steps=0",
    "trainer.args.logging_steps=2",  # at an odd step there is a loss not yet logged
    "trainer.args.max_steps=7",
    "trainer.args.save_steps=5",
    "trainer.args.save_total_limit=1",
    "dataset.test_split_size=4",  # evaluated with each checkpoint
)
SETS = {
    # Three steps an epoch, the last one short; two micro-batches a step.
    "sft": (
        *COMMON,
        "dataset.args.size=24",
        "batch={prompts_per_step: 8, micro_batch: 4}",
        "trainer.args.neftune_noise_alpha=5",  # draws random numbers in every forward pass
    ),
    # Four steps an epoch and a window: each completion is learned from in two of them.
    "grpo": (
        *COMMON,
        "dataset.args.size=15",
        "batch={prompts_per_step: 4, group_size: 4, micro_batch: 8}",
        "rewards=[{name: length, args: {unit: characters}}]",
        "trainer.args.max_completion_length=12",
        "trainer.args.steps_per_generation=4",
        "trainer.args.num_iterations=2",
    ),
}


class CutOff(Exception):
    """Stands for a kill, in this process."""


def cut_off(*_):
    raise CutOff


@pytest.fixture(autouse=True)
def no_smoke_generation(monkeypatch):
    """A blank model never stops by itself, which takes SFT longer to find out than to train it."""
    monkeypatch.setattr("r1_trl.sft.stop_rate", lambda *_, **given: (0.0, 0))


def differences(one, other):
    return {what.what: what.first for what in compare(one, other) if what.differing}


@pytest.mark.parametrize("trainer", list(SETS))
def test_a_run_cut_off_in_a_save_ends_like_one_that_is_not(
    trainer, plugins, tmp_path, monkeypatch, caplog
):
    recipe = recipes.load(f"tiny/{trainer}", SETS[trainer])
    whole = train(recipe, plugins, tmp_path / "whole")
    publish = resume._publish
    with monkeypatch.context() as patch, pytest.raises(CutOff):
        where = {"checkpoint-5": publish, "checkpoint-7": cut_off}
        patch.setattr(resume, "_publish", lambda beside, place: where[place.name](beside, place))
        train(recipe, plugins, tmp_path / "cut")
    cut = Run(tmp_path / "cut", recipe)
    (cut.checkpoints / "checkpoint-6").mkdir()  # as another program may leave one
    assert [path.name for path in cut.whole_checkpoints()] == ["checkpoint-5"]
    assert cut.metrics()[-1]["step"] == 6

    caplog.clear()
    train(recipe, plugins, cut.directory)
    for half in (cut.unfinished / "checkpoint-7", cut.checkpoints / "checkpoint-6"):
        assert f"left out {half}: it is not whole" in caplog.text
    assert differences(whole.directory, cut.directory) == {}
    assert [row["step"] for row in whole.metrics() if "eval_loss" in row] == [5, 7]
    assert [path.name for path in cut.whole_checkpoints()] == ["checkpoint-7"], "the limit is 1"
    assert not cut.unfinished.exists()


@pytest.mark.slow
def test_a_run_cut_off_while_its_model_is_saved_trains_no_step_more(plugins, tmp_path, monkeypatch):
    recipe = recipes.load("tiny/sft", SETS["sft"])
    whole = train(recipe, plugins, tmp_path / "whole").directory
    with monkeypatch.context() as patch, pytest.raises(CutOff):
        patch.setattr("r1_trl.policy.save", cut_off)
        train(recipe, plugins, tmp_path / "cut")
    train(recipe, plugins, tmp_path / "cut")
    assert differences(whole, tmp_path / "cut") == {}


# -- other ranks than the checkpoint's -------------------------------------------------------------

OF_TWO = {"accelerator": "ddp", "processes": 2}


@pytest.fixture
def check(tmp_path):
    """What `checkpoint_ranks.check` makes of a checkpoint by `about` for a recipe with `sets`."""

    def check(about, *sets):
        recipe = recipes.load("tiny/grpo", sets)
        if about:
            (tmp_path / checkpoint_ranks.ABOUT).write_text(json.dumps(about))
        checkpoint_ranks.check(tmp_path, Run(tmp_path, recipe))

    return check


def test_fewer_ranks_go_on_and_are_told_what_it_means(check, caplog):
    check(OF_TWO, "launch={processes: 2, accelerator: ddp}")
    assert caplog.text == ""
    check(OF_TWO)
    assert "is of 2 processes, going on with 1" in caplog.text
    assert "not bit for bit" in caplog.text


@pytest.mark.parametrize(
    ("about", "sets", "says"),
    [
        (OF_TWO, ["launch={processes: 2, accelerator: fsdp}"], "'fsdp' cannot read it; go on with"),
        ({**OF_TWO, "accelerator": "zero3"}, ["launch={processes: 4, accelerator: zero3}"], "in 2"),
        (OF_TWO, ["batch={}"], "without batch.prompts_per_step a step would be another"),
        ({}, ["trainer.args.save_only_model=true"], "holds the model alone"),
    ],
)
def test_a_checkpoint_that_cannot_be_gone_on_from_says_why(check, about, sets, says):
    with pytest.raises(UsageError, match=says):
        check(about, *sets)


def test_a_checkpoint_of_an_earlier_r1_goes_on_with_a_warning(check, caplog):
    check({})
    assert "not bit for bit" in caplog.text


# -- as a user sees it -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "ranks", [(), ("--processes", "2", "--accelerator", "ddp", "--set", "dataset.args.size=23")]
)
@pytest.mark.parametrize("trainer", list(SETS))
def test_verify_resume_kills_a_run_and_finds_no_difference(trainer, ranks, tmp_path):
    done = verify(trainer, tmp_path, *ranks)
    assert done.returncode == 0, done.stderr
    assert "resume is exact: gone on from checkpoint-3" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_verify_resume_names_what_differs(tmp_path, monkeypatch):
    """A reward that nothing can resume: it is drawn from the time."""
    folder = tmp_path / "plugin"
    info = folder / "fickle-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fickle\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[r1cli.plugins]\nfickle = fickle\n")
    (folder / "fickle.py").write_text(
        "import time\n"
        "from r1cli import hookimpl\n\n\n"
        "def fickle(completions):\n"
        "    return [time.time_ns() % 1000 for _ in completions]\n\n\n"
        "@hookimpl\n"
        "def register_rewards(register):\n"
        "    register('fickle', 'fickle:fickle')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    done = verify("grpo", tmp_path / "runs", "--set", "rewards=[{name: fickle}]")
    assert done.returncode == 1, done.stderr
    assert "resume is not exact" in done.stdout
    assert "rollout files" in done.stdout


def verify(trainer, directory, *more):
    sets = [part for one in SETS[trainer] for part in ("--set", one)]
    program = [sys.executable, "-m", "r1cli", "train", trainer, "--recipe", f"tiny/{trainer}"]
    command = [*program, *sets, *more, "--verify-resume", "--run", str(directory / "run")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_too_few_prompts_for_a_round_of_sampling_are_refused(plugins, tmp_path):
    recipe = recipes.load("tiny/grpo", [*SETS["grpo"], "dataset.args.size=11"])
    with pytest.raises(UsageError, match="has 7 prompts, and one round of sampling takes 8"):
        train(recipe, plugins, tmp_path / "run")


def test_only_a_run_on_this_machine_is_verified(r1):
    done = r1("train", "grpo", "--recipe", "tiny/grpo", "--on", "slurm", "--verify-resume")
    assert done.exit_code == 2
    assert "--verify-resume runs here, launch.name is 'slurm'" in done.stderr
    for other in ("--fresh", "--dry-run"):
        done = r1("train", "grpo", "--recipe", "tiny/grpo", "--verify-resume", other)
        assert done.exit_code == 2 and f"leave out {other}" in done.stderr


def test_a_batch_is_checked_for_the_ranks_it_is_for():
    """64 completions a rank are no whole groups of 14, the 448 of seven ranks are 32."""
    recipe = recipes.load(
        "tiny/grpo",
        [
            "batch={prompts_per_step: 32, group_size: 14, micro_batch: 16}",
            "launch={processes: 7, accelerator: ddp}",
        ],
    )
    check = importlib.import_module("r1_trl.grpo").check
    check(recipe.model_copy(update={"trainer": recipe.trainer.model_copy(update={"name": "grpo"})}))
    with pytest.raises(UsageError, match="must be divisible by num_generations"):
        check(
            recipes.load(
                "tiny/grpo",
                [
                    "batch={}",
                    "launch={processes: 7, accelerator: ddp}",
                    "trainer.args.num_generations=14",
                    "trainer.args.per_device_train_batch_size=3",
                ],
            )
        )
