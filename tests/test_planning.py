"""`r1 plan`: bytes against published arithmetic, knobs that are computed, errors that help."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from r1cli.batch import BatchPlan
from r1cli.planning import activations, architecture, setup
from r1cli.planning.adapter import adapter_of
from r1cli.planning.advice import changed
from r1cli.planning.memory import memory
from r1cli.planning.state import state
from r1cli.recipe import Recipe

GIB = 2**30
SEVEN_B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
    "max_position_embeddings": 32768,
    "dtype": "bfloat16",
}
RECIPE = """
model: {name: seven, dtype: bfloat16}
dataset: {name: countdown, args: {size: 100, numbers: [3, 4]}}
rewards: [{name: countdown}]
trainer:
  name: grpo
  args: {max_completion_length: 4096, bf16: true, use_vllm: true, gradient_checkpointing: true}
launch: {accelerator: zero3, processes: 8}
batch: {prompts_per_step: 64, group_size: 8, micro_batch: 4}
"""


@pytest.fixture
def plan(r1, tmp_path):
    """`plan("--set", "...")`: the answer to r1 plan on an 8 x 80 recipe for a 7B model."""
    (tmp_path / "seven").mkdir()
    (tmp_path / "seven" / "config.json").write_text(json.dumps(SEVEN_B))
    (tmp_path / "grpo.yaml").write_text(RECIPE)

    def call(*args, devices=("--gpus", 8, "--gpu-memory", 80), recipe="grpo.yaml"):
        return r1("plan", "--recipe", recipe, *devices, *args)

    return call


def read(answer):
    assert answer.stdout, answer.stderr
    return json.loads(answer.stdout)


def recipe_with(**parts):
    data = {"model": {"name": "m"}, "dataset": {"name": "d"}, "trainer": {"name": "sft"}, **parts}
    return Recipe.model_validate(data)


def setup_for(architecture, ranks=1, micro=1, steps=2, **parts):
    batch = BatchPlan(ranks * micro * steps, 1, ranks, micro, steps)
    return setup.read(recipe_with(**parts), architecture, batch)


@pytest.mark.parametrize(
    ("accelerator", "gigabytes"),
    [("zero2", 16.6), ("zero3", 1.88)],  # the paper's Figure 1: 7.5 B parameters, 64 ranks
)
def test_sharded_state_is_that_of_the_zero_paper(accelerator, gigabytes):
    model = architecture.read(SEVEN_B, "here")
    launch = {"accelerator": accelerator, "processes": 64}
    args = {"bf16": True}
    made = setup_for(model, 64, launch=launch, trainer={"name": "sft", "args": args})
    held = state(model, made)
    per_parameter = (held.weights + held.gradients + held.optimizer) / model.parameters
    assert 7.5 * per_parameter == pytest.approx(gigabytes, abs=0.05)


@pytest.mark.parametrize(
    ("dtype", "args", "bytes_each"),
    [
        ("float32", {"bf16": True}, 16),
        ("bfloat16", {"bf16": True}, 8),
        ("float32", {"bf16": True, "optim": "sgd"}, 8),
        ("bfloat16", {"bf16": True, "optim": "adamw_8bit"}, 6.03),
    ],
)
def test_state_on_one_gpu(dtype, args, bytes_each):
    model = architecture.read(SEVEN_B, "here")
    trainer = {"name": "sft", "args": args}
    held = state(model, setup_for(model, model={"name": "m", "dtype": dtype}, trainer=trainer))
    total = held.weights + held.gradients + held.optimizer
    assert total / model.parameters == pytest.approx(bytes_each)


def test_lora_trains_its_own_parameters_and_needs_no_second_reference():
    model = architecture.read(SEVEN_B, "here")
    recipe = recipe_with(
        model={"name": "m", "adapter": {"rank": 16, "targets": ["q_proj", "v_proj"]}}
    )
    adapter = adapter_of(recipe, model)
    assert adapter.trained == 28 * 16 * (2 * 3584 + 3584 + 512)
    full = setup_for(model, trainer={"name": "sft", "args": {"bf16": True}})
    lora = replace(full, adapter=adapter, reference=True)
    held = state(model, lora)
    assert held.reference == 0
    assert held.gradients == 4 * adapter.trained
    assert memory(model, lora, 80 * GIB).peak < memory(model, full, 80 * GIB).peak / 2


def test_an_adapter_on_disk_is_planned_with_its_base(tmp_path, plan):
    folder = tmp_path / "adapter"
    folder.mkdir()
    targets = [f"model.layers.{n}.self_attn.{p}_proj" for n in range(28) for p in "qv"]
    settings = {"r": 16, "target_modules": targets, "base_model_name_or_path": "../seven"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    data = read(plan("--json", "--set", f"model.name={folder}"))
    assert data["model"]["layers"] == 28
    assert data["setup"]["adapter"]["trained"] == 28 * 16 * (2 * 3584 + 3584 + 512)


def test_dora_adds_a_magnitude_and_whole_modules_are_trained_beside():
    model = architecture.read(SEVEN_B, "here")

    def trained(**more):
        adapter = {"rank": 16, "targets": ["q_proj"], **more}
        return adapter_of(recipe_with(model={"name": "m", "adapter": adapter}), model).trained

    assert trained(dora=True) - trained() == 28 * 3584
    assert trained(modules_to_save=["lm_head"]) - trained() == model.head


def test_edited_positions_bound_the_prompts(plan):
    short = read(plan("--json", "--set", "model.edits.max_position_embeddings=4352"))
    assert short["setup"]["length"] == 4352


def test_eager_attention_grows_with_the_square_of_the_length():
    model = architecture.read(SEVEN_B, "here")

    def layer(length, attention):
        args = {"max_length": length, "model_init_kwargs": {"attn_implementation": attention}}
        made = setup_for(model, trainer={"name": "sft", "args": args})
        return activations.layer(model, made) / length

    assert layer(8192, "flash_attention_2") == layer(1024, "flash_attention_2")
    assert layer(8192, "eager") > 3 * layer(1024, "eager")


def test_the_plan_as_json_adds_up(plan):
    answer = plan("--json")
    data = read(answer)
    assert answer.exit_code == 0 and data["fits"]
    assert data["model"]["parameters"] == 7_615_616_512
    assert data["batch"] == {
        "prompts_per_step": 64,
        "group_size": 8,
        "processes": 8,
        "micro_batch": 4,
        "accumulation": 16,
    }
    assert data["completions_per_step"] == 512
    assert data["tokens_per_step"] == 512 * (512 + 4096)
    assert sum(data["phases"][data["peak_phase"]].values()) == pytest.approx(data["peak_bytes"])
    assert data["vllm"]["reserved"] == pytest.approx(0.3 * 80 * GIB)
    assert data["longest"] % 256 == 0


def test_each_knob_saves_what_it_says_it_saves(plan):
    data = read(plan("--json"))
    assert len(data["knobs"]) == 3
    sets, peak = [], data["peak_bytes"]
    for knob in data["knobs"]:
        for key, value in knob["set"].items():
            sets += ["--set", f"{key}={json.dumps(value)}"]
        turned = read(plan("--json", *sets))
        assert peak - turned["peak_bytes"] == pytest.approx(knob["saves_bytes"])
        assert turned["peak_bytes"] == pytest.approx(knob["peak_bytes"])
        assert turned["fits"] == knob["fits"]
        peak = turned["peak_bytes"]


def test_the_longest_text_fits_and_a_longer_one_does_not(plan):
    small = ("--gpus", 8, "--gpu-memory", 64)
    longest = read(plan("--json", devices=small))["longest"]
    key = "trainer.args.max_completion_length"
    assert plan("--set", f"{key}={longest}", devices=small).exit_code == 0
    assert plan("--set", f"{key}={longest + 256}", devices=small).exit_code == 1


@pytest.mark.parametrize("size", ["inf", "nan", "1e300"])
def test_memory_that_no_gpu_has_is_refused(plan, size):
    answer = plan(devices=("--gpus", 8, "--gpu-memory", size))
    assert answer.exit_code == 2 and "--gpu-memory" in answer.stderr


def test_what_does_not_fit_says_so_with_exit_code_1(plan):
    answer = plan(devices=("--gpus", 8, "--gpu-memory", 24))
    assert answer.exit_code == 1
    assert "does not fit: a rank needs" in answer.stdout
    assert "hold its weights (14.2) but not one sequence" in answer.stdout
    assert "--set trainer.args.vllm_tensor_parallel_size=" in answer.stdout


def test_the_picture_shows_every_part(plan):
    answer = plan()
    assert answer.exit_code == 0
    for word in ("7,615,616,512", "vllm", "activations", "logits", "\u2588", "fits:", "zero3"):
        assert word in answer.stdout


def test_nothing_heavy_is_imported(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SEVEN_B))
    code = (
        "import sys; from r1cli.cli import app\n"
        "try: app(['plan', '--recipe', 'countdown/grpo', '--set', 'model.name=.'])\n"
        "except SystemExit as end: assert end.code in (0, 1), end.code\n"
        "print('heavy:', *{'torch', 'transformers', 'trl', 'accelerate'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "heavy:", done.stdout + done.stderr


def test_server_mode_keeps_a_gpu_for_vllm(plan):
    server = ("--set", "trainer.args.vllm_mode=server")
    refused = plan(*server)
    assert refused.exit_code == 2
    assert "8 ranks and 1 for the vLLM server" in refused.stderr
    assert "--set launch.processes=7" in refused.stderr
    data = read(plan(*server, "--set", "launch.processes=4", "--json"))
    assert "vllm" not in data["phases"][data["peak_phase"]]
    assert [place["role"] for place in data["layout"]] == ["train", "serve"]


def test_a_slurm_job_has_nodes_that_train_and_nodes_that_serve(plan):
    sets = ["trainer.args.vllm_mode=server", "launch.processes=24", "launch.args.serve_nodes=1"]
    sets.append("batch.prompts_per_step=96")
    options = [part for each in sets for part in ("--set", each)]
    data = read(plan("--on", "slurm", "--nodes", 4, *options, "--json"))
    serve, train = data["layout"]
    assert (serve["role"], serve["nodes"]) == ("serve", 1)
    assert (train["role"], train["nodes"], train["devices_per_node"]) == ("train", 3, 8)


def test_ranks_that_are_not_said_are_those_of_the_gpus(plan, tmp_path):
    text = RECIPE.replace("launch: {accelerator: zero3, processes: 8}\n", "")
    (tmp_path / "free.yaml").write_text(text)
    data = read(plan("--json", recipe="free.yaml"))
    assert data["batch"]["processes"] == 8
    assert data["setup"]["strategy"]["name"] == "ddp"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (
            ["--gpus", 0],
            2,
            "no GPU, but the recipe needs one for trainer.args.bf16.*this would run",
        ),
        (
            ["--gpus", 4],
            2,
            "= 8 ranks, but there are.*4 GPUs; --set launch.processes=4 or --gpus 8",
        ),
        (
            ["--gpus", 8, "--set", "trainer.args.vllm_tensor_parallel_size=8"],
            2,
            "= 8 does not divide the model's 28 heads and the 8 ranks; 1, 2, 4 would work",
        ),
        (["--gpus", 8, "--set", "batch.prompts_per_step=9"], 2, "batch.*would work"),
        (["--gpus", 8, "--set", "launch.accelerator=zero4"], 2, "did you mean"),
        (
            ["--gpus", 8, "--set", "trainer.args.max_completion_length=long"],
            2,
            "max_completion_length.* = 'long' is no whole number of 1 or more",
        ),
        (["--gpus", 8, "--set", "model.name=r1_tiny"], 2, "has not been built here"),
    ],
)
def test_bad_input(plan, args, code, message, monkeypatch, tmp_path):
    monkeypatch.setenv("R1_HOME", str(tmp_path / "home"))  # where other tests have built nothing
    answer = plan(devices=args)
    assert answer.exit_code == code, answer.stderr
    import re

    assert re.search(message, " ".join(answer.stderr.split())), answer.stderr


def test_batches_in_trl_keys_are_checked_too(plan, tmp_path):
    keys = "{per_device_train_batch_size: 3, gradient_accumulation_steps: 1, num_generations: 16}"
    text = RECIPE[: RECIPE.index("batch:")].replace("args: {", "args: {" + keys[1:-1] + ", ")
    (tmp_path / "trl.yaml").write_text(text)
    answer = plan(recipe="trl.yaml")
    assert answer.exit_code == 2
    assert "8 ranks x 3 x 1 = 24 completions are no multiple of the group size 16" in answer.stderr


def test_rounds_of_sampling_are_whole_groups(plan):
    sets = ["trainer.args.steps_per_generation=1", "launch.processes=1", "batch.group_size=8"]
    options = [part for each in sets for part in ("--set", each)]
    answer = plan(*options, "--set", "launch.accelerator=single")
    assert answer.exit_code == 2
    assert "sample 4 completions each at once" in answer.stderr
    assert "a multiple of 2 would work" in answer.stderr


def test_serving_nodes_leave_some_to_train(plan):
    answer = plan("--on", "slurm", "--nodes", 2, "--set", "launch.args.serve_nodes=2")
    assert answer.exit_code == 2 and "leaves none of 2 nodes to train" in answer.stderr


def test_ranks_that_nodes_cannot_share_evenly(plan):
    sets = ["--set", "launch.processes=8", "--set", "trainer.args.use_vllm=false"]
    answer = plan("--on", "slurm", "--nodes", 3, *sets)
    assert answer.exit_code == 2
    assert "8 ranks cannot be shared by 3 training nodes" in answer.stderr
    assert "launch.processes=6 would work" in answer.stderr


def test_more_ranks_than_one_machine_can_have(plan):
    answer = plan("--set", "launch.processes=64")
    assert answer.exit_code == 2 and "--on slurm --nodes 8 would work" in answer.stderr


def test_four_bits_shrink_the_frozen_weights():
    model = architecture.read(SEVEN_B, "here")
    settings = {"rank": 16, "quantize": "4bit"}
    adapter = adapter_of(recipe_with(model={"name": "m", "adapter": settings}), model)
    made = replace(setup_for(model, trainer={"name": "sft", "args": {"bf16": True}}))
    held = state(model, replace(made, adapter=adapter))
    plain = 2 * (model.embedding + model.head)
    assert held.weights - 4 * adapter.trained < 0.3 * 2 * model.parameters + plain
    assert adapter.trained == 28 * 16 * (2 * 3584 + 2 * 4096 + 2 * 3584 + 3 * (3584 + 18944))


def test_offloading_moves_the_optimizer_to_the_machine():
    model = architecture.read(SEVEN_B, "here")
    trainer = {"name": "sft", "args": {"bf16": True}}
    parts = {
        name: state(model, setup_for(model, 8, trainer=trainer, launch=launch))
        for name, launch in {
            "on": {"accelerator": "zero3", "processes": 8},
            "off": {"accelerator": "zero3_offload", "processes": 8},
        }.items()
    }
    assert parts["off"].optimizer == parts["off"].weights == 0
    on = parts["on"]
    assert parts["off"].host == pytest.approx(on.optimizer + on.gradients + on.weights)


def test_sleeping_vllm_is_not_there_while_training(plan):
    data = read(plan("--json", "--set", "trainer.args.vllm_enable_sleep_mode=true"))
    assert "vllm" in data["phases"]["sampling"]
    assert "vllm" not in data["phases"]["backward begins"]


def test_prompts_have_no_more_room_than_the_model(plan, tmp_path):
    (tmp_path / "seven" / "config.json").write_text(
        json.dumps({**SEVEN_B, "max_position_embeddings": 4352})
    )
    data = read(plan("--json"))
    assert data["setup"]["length"] == 4352
    assert any("256 tokens" in note for note in data["notes"])


def test_only_the_config_is_fetched_from_the_hub(plan, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    from r1cli.planning import config_file

    asked = []

    def fetch(name, file, revision=None):
        asked.append((name, file, revision))
        return str(tmp_path / "seven" / "config.json")

    monkeypatch.setattr(config_file, "ensure_model", lambda *_: None)
    monkeypatch.setattr(hub, "hf_hub_download", fetch)
    answer = plan("--set", "model.name=someone/seven", "--set", "model.revision=main")
    assert answer.exit_code == 0
    assert asked == [("someone/seven", "config.json", "main")]


def test_an_unreachable_hub_says_what_would_work(r1, monkeypatch):
    from r1cli import hub

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub._problem.cache_clear()
    answer = r1("plan", "--recipe", "countdown/zero-3b", "--gpus", 1)
    hub._problem.cache_clear()
    assert answer.exit_code == 5
    assert "--set model.name=FOLDER" in answer.stderr and "HF_HUB_OFFLINE" in answer.stderr


def test_a_registered_model_that_is_built_is_read_where_it_lies(r1, tmp_path, monkeypatch):
    monkeypatch.setenv("R1_HOME", str(tmp_path))
    folder = tmp_path / "models" / "r1_tiny_blank-123"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**SEVEN_B, "num_hidden_layers": 1}))
    answer = r1("plan", "--recipe", "tiny/sft", "--gpus", 0, "--gpu-memory", 64, "--json")
    assert json.loads(answer.stdout)["model"]["layers"] == 1


def test_a_change_keeps_the_lines_of_the_recipe(tmp_path):
    from r1cli import recipe_file

    path = tmp_path / "grpo.yaml"
    path.write_text(RECIPE)
    loaded = changed(recipe_file.load(str(path)), {"batch.micro_batch": 2})
    assert loaded.batch.micro_batch == 2
    assert "grpo.yaml:" in loaded.where("batch")


def test_a_pipeline_is_planned_stage_by_stage(r1, tmp_path):
    (tmp_path / "seven").mkdir()
    (tmp_path / "seven" / "config.json").write_text(json.dumps(SEVEN_B))
    (tmp_path / "r1.yaml").write_text(
        f"""stages:
- recipe: r1-7b/sft
  set: {{model.name: {tmp_path}/seven, model.adapter: {{rank: 16}}, launch.accelerator: ddp}}
- {{recipe: r1-7b/math}}
"""
    )
    words = ("plan", "--recipe", "r1.yaml", "--gpus", 8, "--gpu-memory", 80)
    answer = r1(*words, "--json")
    data = json.loads(answer.stdout)
    assert [stage["model"]["layers"] for stage in data["stages"]] == [28, 28]
    assert all(stage["setup"]["adapter"]["rank"] == 16 for stage in data["stages"]), (
        "the second stage trains the first one's adapter on"
    )
    peaks = [stage["peak_bytes"] for stage in data["stages"]]
    assert data["largest"] == peaks.index(max(peaks))
    shown = r1(*words)
    assert f"stage {data['largest'] + 1}, the largest:" in shown.stdout
    assert (
        shown.exit_code == answer.exit_code == (0 if all(s["fits"] for s in data["stages"]) else 1)
    )
