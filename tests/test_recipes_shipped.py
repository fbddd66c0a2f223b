"""Every recipe that is shipped: it says what it is, and its names and arguments exist."""

import itertools
import re
import socket
from pathlib import Path

import pytest

from r1cli import recipe_file as recipes
from r1cli import source
from r1cli.pipeline import stage_recipes
from r1cli.plugins import builtin_plugins

NAMES = sorted(recipes.shipped())

SHORT = {"tiny/r1", "countdown/r1"}
"""Pipelines of recipes that say the rest themselves."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A check asks no hub for anything."""

    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def plugins():
    return builtin_plugins()


def stages(name):
    path = recipes.find(name)
    if not recipes.is_pipeline(path):
        return [recipes.load(name)]
    return [r for r, _ in stage_recipes(recipes.load_pipeline(name), path, Path("runs/x"))]


def test_the_tiny_recipes_are_there():
    assert {"tiny/sft", "tiny/grpo", "tiny/r1"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_opens_with_a_line_on_what_it_is(name):
    first = recipes.find(name).read_text().splitlines()[0]
    assert first.startswith("# ") and first.endswith(".") and len(first) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_survives_being_resolved(name):
    for loaded in stages(name):
        data = loaded.model_dump(mode="json")
        again = recipes.validate(recipes.Recipe, source.parse(source.dump(data), name))
        assert again.model_dump(mode="json") == data


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_passes_every_check_without_a_model(name, plugins):
    pytest.importorskip("trl", reason="the trainers' own config classes are TRL's")
    from r1cli.check import check

    for loaded in stages(name):
        check(loaded, plugins)


@pytest.mark.parametrize("name", NAMES)
def test_recipe_check_and_show_take_it_on_the_command_line(r1, name):
    pytest.importorskip("trl", reason="the trainers' own config classes are TRL's")
    answer = r1("recipe", "check", name)
    assert answer.exit_code == 0 and name in answer.stdout + answer.stderr
    assert r1("recipe", "show", name, "--resolved").exit_code == 0


def test_the_listing_has_them_all(r1):
    listed = r1("recipe", "list").stdout
    assert all(name in listed for name in NAMES)


# open-r1's own figures: model, learning rate, completions per step, longest, group, rewards.
OPEN_R1 = {
    "distill-1.5b-grpo": ("DeepSeek-R1-Distill-Qwen-1.5B", 1e-6, 512, 2048, 16, [1, 1, 1]),
    "qwen-1.5b-grpo": ("Qwen2.5-1.5B-Instruct", 1e-6, 512, 1024, 16, [1, 1, 1]),
    "qwen-1.5b-code": ("Qwen2.5-1.5B-Instruct", 5e-6, 448, 2048, 14, [1, 0.1]),
    "openr1-distill-7b": ("Qwen2.5-Math-7B", 4e-5, 128, 32768, 1, []),
    "olympiccoder-7b": ("Qwen2.5-Coder-7B-Instruct", 1e-5, 128, 32768, 1, []),
    "olympiccoder-32b": ("Qwen2.5-Coder-32B-Instruct", 4e-5, 128, 22528, 1, []),
}


@pytest.mark.parametrize("name", OPEN_R1)
def test_a_recipe_of_open_r1_keeps_its_hyper_parameters(name):
    recipe = recipes.load(f"open-r1/{name}")
    model, rate, completions, longest, group, weights = OPEN_R1[name]
    args, batch = recipe.trainer.args, recipe.batch
    assert recipe.model.name.endswith("/" + model)
    assert args["learning_rate"] == rate
    assert (batch.group_size or 1) == group
    assert batch.prompts_per_step * group == completions
    assert args.get("max_completion_length", args.get("max_length")) == longest
    assert [term.weight for term in recipe.rewards] == weights


def test_the_distilled_qwen_is_edited_so_that_its_traces_fit():
    recipe = recipes.load("open-r1/openr1-distill-7b")
    assert recipe.model.edits.rope_theta == 300_000
    assert recipe.model.edits.max_position_embeddings == recipe.trainer.args["max_length"]


def test_what_the_issue_asks_for_is_there():
    zero = {f"{task}/zero-{size}" for task in ("countdown", "gsm8k") for size in ("0.5b", "3b")}
    assert {*zero, "gsm8k/zero-1.5b", "math/dapo-7b", "math/dr-grpo-7b", "r1-7b/r1"} <= set(NAMES)
    assert len(stages("r1-7b/r1")) == 3


def test_dapo_and_dr_grpo_say_what_makes_them_so():
    dapo, dr_grpo = recipes.load("math/dapo-7b"), recipes.load("math/dr-grpo-7b")
    assert dapo.trainer.args["loss_type"] == "dapo"
    assert dapo.trainer.args["epsilon_high"] == 0.28
    assert dapo.trainer.args["mask_truncated_completions"] is True
    (overlong,) = [r for r in dapo.rewards if r.name == "soft_overlong_punishment"]
    assert overlong.args["max_completion_len"] == dapo.trainer.args["max_completion_length"]
    steps = dapo.trainer.args["steps_per_generation"] * dapo.batch.micro_batch
    assert steps * dapo.launch.processes == 16 * 32 * dapo.batch.group_size
    assert dr_grpo.trainer.args["loss_type"] == "dr_grpo"
    assert dr_grpo.trainer.args["scale_rewards"] == "none"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SHORT])
def test_the_header_says_hardware_command_and_what_to_expect(name):
    lines = recipes.find(name).read_text().splitlines()
    header = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
    assert re.search(r"\d+ x (\d+ GB|H100)|of 8 x 80 GB|CPU", header[0]), header[0]
    assert re.fullmatch(r"#   r1 (train (sft|grpo)|pipeline) --recipe [\w/.-]+.*", header[1])
    assert re.search(r"--recipe ([\w/.-]+)", header[1])[1] in NAMES
    assert header[2].startswith("# Expected: ")
    if name.startswith("open-r1/"):
        assert any(line.startswith("# Mended: ") or " Mended: " in line for line in header)


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_comes_out_whole_and_every_process_has_whole_groups(name, plugins):
    for loaded in stages(name):
        plan = plugins["trainers"].get(loaded.trainer.name).load().plan(loaded)
        share = plan.micro_batch * plan.accumulation
        assert plan.prompts_per_step * plan.group_size == share * plan.processes
        assert share % plan.group_size == 0


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_pushed_reported_or_named_of_one_cluster(name):
    for loaded in stages(name):
        args = loaded.trainer.args
        assert not [key for key in args if key.startswith(("push_", "hub_", "report_to"))]
        assert loaded.launch.name == "local"
        assert loaded.launch.accelerator in {"single", "ddp", "zero2", "zero3", "fsdp"}
        assert (loaded.launch.accelerator == "single") == (loaded.launch.processes == 1)


def test_a_copied_pipeline_brings_the_recipes_of_its_stages(r1, tmp_path):
    assert r1("recipe", "get", "tiny/r1", "mine/r1.yaml").exit_code == 0
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == [
        *("grpo.yaml", "r1.yaml", "sft.yaml")
    ]
    path = tmp_path / "mine" / "r1.yaml"
    found = stage_recipes(recipes.load_pipeline(str(path)), path, Path("runs/x"))
    assert [recipe._source.name for recipe, _ in found] == [
        str(path.with_name(name)) for name in ("sft.yaml", "grpo.yaml")
    ]
    path.unlink()
    again = r1("recipe", "get", "tiny/r1", "mine")
    assert again.exit_code == 2 and "mine/sft.yaml exists" in again.stderr
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_named(r1, tmp_path):
    (tmp_path / "file").write_text("")
    refused = r1("recipe", "get", "tiny/sft", "file/sft.yaml")
    assert refused.exit_code == 2
    assert refused.stderr == "error: cannot write file/sft.yaml: File exists\n"
