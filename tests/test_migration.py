"""Old recipes of open-r1 and TRL become recipes of r1 that pass the check; no key goes unsaid."""

import json

import pytest
import yaml

from r1cli import recipe_file as recipes
from r1cli import source
from r1cli.errors import UsageError
from r1cli.plugins import builtin_plugins

pytest.importorskip("trl", reason="which keys are TRL's is asked of TRL")

from r1cli.migration import keys
from r1cli.migration.migrate import migrate
from r1cli.migration.rewards import KNOBS
from r1cli.recipe import Recipe

COMMON = """
torch_dtype: bfloat16
attn_implementation: flash_attention_2
bf16: true
do_eval: false
gradient_checkpointing: true
gradient_checkpointing_kwargs: {use_reentrant: false}
hub_strategy: every_save
log_level: info
logging_first_step: true
logging_steps: 1
logging_strategy: steps
overwrite_output_dir: true
push_to_hub: true
report_to: [wandb]
save_total_limit: 1
"""

GRPO = (
    COMMON
    + """
use_vllm: true
seed: 42
system_prompt: "Think first, then answer."
"""
)

# Written from the table of its recipes, not copied: hyper-parameters are facts.
OPEN_R1 = {
    "distill-1.5b-grpo": GRPO
    + """
model_name_or_path: deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
model_revision: main
chat_template: "{% for m in messages %}{{ m.content }}{% endfor %}"
dataset_name: open-r1/OpenR1-Math-220k
dataset_prompt_column: problem
learning_rate: 1.0e-06
lr_scheduler_type: cosine_with_min_lr
lr_scheduler_kwargs: {min_lr_rate: 0.1}
warmup_ratio: 0.1
per_device_train_batch_size: 16
gradient_accumulation_steps: 4
num_train_epochs: 1
max_steps: -1
max_prompt_length: 512
max_completion_length: 2048
num_generations: 16
temperature: 0.7
use_liger_kernel: true
reward_funcs: [accuracy, format, tag_count]
reward_weights: [1.0, 1.0, 1.0]
save_strategy: "epoch"
output_dir: data/R1-Distill-GRPO
hub_model_id: R1-Distill-GRPO
""",
    "qwen-1.5b-grpo": GRPO
    + """
model_name_or_path: Qwen/Qwen2.5-1.5B-Instruct
dataset_name: open-r1/OpenR1-Math-220k
dataset_prompt_column: problem
learning_rate: 2.0e-05
lr_scheduler_type: cosine
warmup_ratio: 0.1
per_device_train_batch_size: 16
gradient_accumulation_steps: 4
num_train_epochs: 1
max_prompt_length: 512
max_completion_length: 1024
num_generations: 16
reward_funcs: [accuracy, format, tag_count]
save_strategy: epoch
output_dir: data/Qwen2.5-1.5B-Open-R1-GRPO
""",
    "qwen-1.5b-code": GRPO
    + """
model_name_or_path: Qwen/Qwen2.5-1.5B-Instruct
dataset_name: open-r1/verifiable-coding-problems-python
dataset_prompt_column: problem_statement
beta: 0.01
learning_rate: 5.0e-06
lr_scheduler_type: cosine_with_min_lr
lr_scheduler_kwargs: {min_lr_rate: 0.1}
warmup_ratio: 0.03
per_device_train_batch_size: 16
gradient_accumulation_steps: 4
max_steps: 500
max_prompt_length: 1024
max_completion_length: 2048
num_generations: 14
temperature: 1.0
reward_funcs: [code, format]
reward_weights: [1.0, 0.1]
save_strategy: steps
save_steps: 50
output_dir: data/Qwen2.5-1.5B-Open-R1-Code-GRPO
""",
    "qwen-1.5b-ioi": GRPO
    + """
model_name_or_path: Qwen/Qwen2.5-1.5B-Instruct
dataset_name: open-r1/ioi
dataset_prompt_column: problem
beta: 0.01
learning_rate: 5.0e-06
per_device_train_batch_size: 16
gradient_accumulation_steps: 4
max_steps: 500
max_prompt_length: 1024
max_completion_length: 2048
num_generations: 14
reward_funcs: [ioi_code, code_format, format]
reward_weights: [1.0, 0.1, 0.1]
code_language: cpp
code_eval_test_batch_size: 3
ioi_provider: piston
output_dir: data/ioi
""",
    "codeforces": GRPO
    + """
model_name_or_path: Qwen/Qwen2.5-Coder-7B-Instruct
dataset_name: open-r1/codeforces
dataset_config: verifiable-prompts
dataset_prompt_column: prompt
beta: 0.0
loss_type: dr_grpo
scale_rewards: false
mask_truncated_completions: true
max_grad_norm: 0.2
learning_rate: 1.0e-06
lr_scheduler_type: constant_with_warmup
warmup_ratio: 0.1
per_device_train_batch_size: 4
gradient_accumulation_steps: 32
num_train_epochs: 4
max_prompt_length: 2000
max_completion_length: 8192
num_generations: 16
temperature: 0.7
vllm_device: auto
vllm_gpu_memory_utilization: 0.7
callbacks: [push_to_hub_revision]
benchmarks: [lcb_v4]
reward_funcs: [cf_code, code_format]
reward_weights: [1.0, 0.1]
code_eval_test_batch_size: -1
code_eval_scoring_mode: weighted_sum
save_strategy: steps
save_steps: 0.05
wandb_entity: huggingface
wandb_project: open-r1
hub_model_revision: v01.00
output_dir: data/codeforces
""",
    "openr1-distill-7b": COMMON
    + """
model_name_or_path: open-r1/Qwen2.5-Math-7B-RoPE-300k
chat_template: "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"
dataset_name: open-r1/Mixture-of-Thoughts
dataset_config: all
dataset_num_proc: 12
eos_token: <|im_end|>
learning_rate: 4.0e-05
lr_scheduler_type: cosine_with_min_lr
lr_scheduler_kwargs: {min_lr_rate: 0.1}
warmup_ratio: 0.03
max_grad_norm: 0.2
max_length: 32768
packing: false
num_train_epochs: 5
per_device_train_batch_size: 2
gradient_accumulation_steps: 8
use_liger_kernel: true
save_strategy: epoch
output_dir: data/OpenR1-Distill-7B
""",
    "olympiccoder-7b": COMMON
    + """
model_name_or_path: Qwen/Qwen2.5-Coder-7B-Instruct
dataset_name: open-r1/codeforces-cots
dataset_config: solutions_decontaminated
learning_rate: 1.0e-05
max_grad_norm: 0.2
lr_scheduler_type: cosine_with_min_lr
lr_scheduler_kwargs: {min_lr_rate: 0.1}
warmup_ratio: 0.03
max_length: 32768
num_train_epochs: 10
per_device_train_batch_size: 2
gradient_accumulation_steps: 8
save_strategy: epoch
output_dir: data/OlympicCoder-7B
""",
    "olympiccoder-32b": COMMON
    + """
model_name_or_path: Qwen/Qwen2.5-Coder-32B-Instruct
dataset_name: open-r1/codeforces-cots
dataset_config: solutions_decontaminated
learning_rate: 4.0e-05
max_grad_norm: 0.2
lr_scheduler_type: cosine_with_min_lr
lr_scheduler_kwargs: {min_lr_rate: 0.1}
warmup_ratio: 0.03
max_length: 22528
num_train_epochs: 10
per_device_train_batch_size: 1
gradient_accumulation_steps: 1
optim: paged_adamw_8bit
save_only_model: true
use_liger_kernel: false
save_strategy: epoch
output_dir: data/OlympicCoder-32B
""",
    "filter-demo": """
model_name_or_path: deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
dataset_name: open-r1/OpenR1-Math-220k
dataset_prompt_column: problem
torch_dtype: bfloat16
use_vllm: true
max_completion_length: 2048
num_generations: 8
temperature: 0.7
top_p: 0.95
reward_funcs: [accuracy]
output_dataset_name: my/filtered
pass_rate_min: 0.2
pass_rate_max: 0.8
""",
    "filter-dapo": """
model_name_or_path: open-r1/R1-Distill-Qwen-Math-7B
model_revision: v03.00-step-000008190
dataset_name: open-r1/DAPO-Math-17k-Processed
dataset_config: all
max_completion_length: 32000
num_generations: 8
temperature: 1.0
reward_funcs: [accuracy]
pass_rate_min: 0.1
pass_rate_max: 0.6
dataset_start_index: 0
dataset_end_index: 200
""",
    "filter-python": """
model_name_or_path: open-r1/R1-Distill-Qwen-Math-7B-Merges
dataset_name: open-r1/verifiable-coding-problems-python_decontaminated
dataset_prompt_column: problem
max_completion_length: 16000
num_generations: 8
temperature: 0.7
reward_funcs: [binary_code]
e2b_router_url: http://10.0.0.1:8000
pass_rate_min: 0.1
pass_rate_max: 0.6
""",
}

SMALL = """
model_name_or_path: Qwen/Qwen2.5-0.5B
dataset_name: my/data
"""

MENDED = {"learning_rate", "output_dir"}
"""Arguments in which a shipped recipe differs from open-r1's on purpose, or r1 owns."""

IDLE = {"max_steps", "num_train_epochs", "save_strategy", "report_to", "packing"} | {
    *("dataset_num_proc", "vllm_importance_sampling_correction")
}
"""What a shipped recipe need not say: the default, or nothing to learning."""


@pytest.fixture(scope="module")
def plugins():
    return builtin_plugins()


@pytest.fixture
def migrated(plugins):
    def call(text, **options):
        return migrate(source.parse(text, "old.yaml"), plugins, **options)

    return call


def note_on(draft, old):
    (note,) = [note for note in draft.notes if note.old == old]
    return note


def args_of(draft):
    return draft.recipe["trainer"]["args"]


@pytest.mark.parametrize("name", OPEN_R1)
def test_a_recipe_of_open_r1_passes_the_check(name, migrated, plugins, tmp_path):
    from r1cli.check import check

    path = tmp_path / "new.yaml"
    path.write_text(source.dump(migrated(OPEN_R1[name]).recipe))
    check(recipes.load(str(path)), plugins)


@pytest.mark.parametrize("name", OPEN_R1)
def test_every_key_has_a_note_and_every_kept_value_its_place(name, migrated):
    draft, old = migrated(OPEN_R1[name]), yaml.safe_load(OPEN_R1[name])
    assert {note.old for note in draft.notes} >= set(old)
    assert not [note for note in draft.notes if note.kind == "unknown"]
    written = json.dumps(draft.recipe)
    for note in draft.notes:
        value = old.get(note.old)
        if note.kind in ("kept", "renamed") and isinstance(value, str) and note.old != "output_dir":
            assert json.dumps(value) in written, note


@pytest.mark.parametrize("name", sorted(set(OPEN_R1) & {n[8:] for n in recipes.shipped()}))
def test_a_shipped_recipe_keeps_what_a_migrated_one_keeps(name, migrated):
    ours = recipes.load(f"open-r1/{name}").model_dump()
    draft = migrated(OPEN_R1[name], processes=ours["launch"]["processes"])
    told = set(ours["trainer"]["args"]) & set(args_of(draft))
    assert {"lr_scheduler_type", "warmup_steps", "save_total_limit"} <= told
    for key in told - MENDED:
        assert ours["trainer"]["args"][key] == args_of(draft)[key], key
    assert {key for key in args_of(draft) if key not in told and not key.startswith("log")} <= IDLE
    for key, value in draft.recipe["batch"].items():
        assert ours["batch"][key] == value, key


def test_tables_and_fields_of_trl_leave_no_key_unknown(migrated):
    from dataclasses import fields

    from trl import GRPOConfig, ModelConfig

    from r1cli.migration.migrate import _fields

    assert "beta" in _fields("GRPOConfig") and "packing" in _fields("SFTConfig")
    every = {f.name for config in (GRPOConfig, ModelConfig) for f in fields(config)}
    every |= {*keys.RENAMED, *keys.GONE, *KNOBS, "num_processes"}
    every -= {"model_name_or_path", "dataset_name", "reward_weights", "model_init_kwargs"}
    whole = {"num_processes", "per_device_train_batch_size", "gradient_accumulation_steps"}
    text = SMALL + "".join(f"{key}: {8 if key in whole else 'x'}\n" for key in sorted(every))
    draft = migrated(text.replace("num_generations: x", "num_generations: 8"))
    noted = [note.old for note in draft.notes if note.old]
    assert every <= set(noted) and len(noted) == len(set(noted))
    assert not [note for note in draft.notes if note.kind == "unknown"]


def test_an_unknown_key_is_reported_with_its_line_and_the_nearest_name(migrated):
    draft = migrated(SMALL + "temprature: 0.7\nquite_something_else: 1\nbeta: 0.0\n")
    assert str(note_on(draft, "temprature")) == (
        "unknown: temprature (line 4): did you mean 'temperature'?"
    )
    assert note_on(draft, "quite_something_else").why == ""
    assert "0.7" not in json.dumps(draft.recipe)


def test_renamed_keys_say_why(migrated):
    draft = migrated(SMALL + "torch_dtype: bfloat16\nwarmup_ratio: 0.1\nmax_prompt_length: 512\n")
    assert draft.recipe["model"]["dtype"] == "bfloat16"
    assert args_of(draft)["warmup_steps"] == 0.1
    renamed = note_on(draft, "warmup_ratio")
    assert (renamed.new, renamed.line) == ("trainer.args.warmup_steps", 5)
    assert "share of the steps" in renamed.why
    assert "context" in note_on(draft, "max_prompt_length").why


def test_warmup_said_twice_keeps_the_steps(migrated):
    draft = migrated(SMALL + "warmup_ratio: 0.1\nwarmup_steps: 20\nbeta: 0.1\n")
    assert args_of(draft)["warmup_steps"] == 20
    assert note_on(draft, "warmup_ratio").kind == "removed"


def test_no_warmup_steps_leave_it_to_the_ratio(migrated):
    draft = migrated(SMALL + "warmup_steps: 0\nwarmup_ratio: 0.1\nbeta: 0.1\n")
    assert args_of(draft)["warmup_steps"] == 0.1
    assert note_on(draft, "warmup_steps").kind == "removed"


@pytest.mark.parametrize(
    ("device", "steps", "group", "processes", "batch"),
    [
        (16, 4, 16, 8, {"prompts_per_step": 32, "group_size": 16, "micro_batch": 16}),
        (16, 4, 14, 8, {"prompts_per_step": 32, "group_size": 14, "micro_batch": 14}),
        (4, 32, 16, 8, {"prompts_per_step": 64, "group_size": 16, "micro_batch": 4}),
        (8, 1, 8, 1, {"prompts_per_step": 1, "group_size": 8, "micro_batch": 8}),
        (2, 1, 8, 1, {"prompts_per_step": 1, "group_size": 8, "micro_batch": 2}),
        # Groups that are shared by processes: a step is as large as it was.
        (1, 1, 8, 8, {"prompts_per_step": 1, "group_size": 8, "micro_batch": 1}),
        (8, 1, 16, 8, {"prompts_per_step": 4, "group_size": 16, "micro_batch": 8}),
        (5, 3, 8, 8, {"prompts_per_step": 15, "group_size": 8, "micro_batch": 5}),
        (16, 4, 14, 7, {"prompts_per_step": 32, "group_size": 14, "micro_batch": 16}),
    ],
)
def test_micro_batch_and_accumulation_become_prompts_per_step(
    migrated, device, steps, group, processes, batch
):
    text = (
        f"num_generations: {group}\nper_device_train_batch_size: {device}\n"
        f"gradient_accumulation_steps: {steps}\n"
    )
    assert migrated(SMALL + text, processes=processes).recipe["batch"] == batch


def test_a_file_with_its_own_arithmetic_keeps_it(migrated):
    text = "per_device_train_batch_size: 4\nsteps_per_generation: 8\nnum_generations: 8\n"
    draft = migrated(SMALL + text)
    assert "batch" not in draft.recipe
    assert args_of(draft)["per_device_train_batch_size"] == 4
    assert args_of(draft)["steps_per_generation"] == 8


def test_rewards_get_their_arguments_and_weights(migrated):
    draft = migrated(
        SMALL
        + """
reward_funcs: [cosine, repetition_penalty, code_format, soft_overlong_punishment, length]
reward_weights: [1.0, 0.5, 0.2, 0.1, 0.3]
cosine_max_len: 2000
cosine_min_value_wrong: -1.0
repetition_n_grams: 4
repetition_max_penalty: -0.5
code_language: cpp
max_completion_len: 1024
soft_punish_cache: 128
"""
    )
    cosine = {"min_value_wrong": -1.0, "max_len": 2000, "unit": "characters"}
    assert draft.recipe["rewards"] == [
        {"name": "cosine", "args": cosine, "weight": 1.0},
        {"name": "repetition_penalty", "args": {"n_grams": 4, "max_penalty": -0.5}, "weight": 0.5},
        {"name": "code_format", "args": {"language": "cpp"}, "weight": 0.2},
        {
            "name": "soft_overlong_punishment",
            "args": {"max_completion_len": 1024, "soft_punish_cache": 128},
            "weight": 0.1,
        },
        {"name": "length", "args": {"unit": "characters"}, "weight": 0.3},
    ]


def test_a_reward_argument_without_its_reward_is_named(migrated):
    draft = migrated(SMALL + "reward_funcs: accuracy\ncosine_max_len: 5\n")
    assert draft.recipe["rewards"] == [{"name": "accuracy"}]
    assert "cosine, which is not used" in note_on(draft, "cosine_max_len").why


def test_a_reward_that_does_not_exist_yet_goes_with_its_weight_and_is_named(migrated):
    draft = migrated(OPEN_R1["codeforces"])
    assert draft.recipe["rewards"] == [{"name": "code_format", "weight": 0.1}]
    assert note_on(draft, "reward_funcs.0").kind == "removed"


def test_rewards_of_trl_are_known_by_their_names(migrated):
    draft = migrated(
        SMALL + "reward_funcs: [accuracy_reward, think_format_reward, my.module.reward]\n"
    )
    assert [term["name"] for term in draft.recipe["rewards"]] == ["accuracy", "format"]
    assert draft.recipe["rewards"][1]["args"] == {"schema": "think"}
    assert "r1 plugins new" in note_on(draft, "reward_funcs.2").why


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", {"name": "local"}),
        ("code_provider: e2b\nparallel_code_exec_per_proc: 4\n", {"args": {"sandboxes": 4}}),
        ("provider_type: morph\nparallel_code_exec_per_proc: 3\n", {"args": {"instances": 3}}),
        ("parallel_code_exec_per_proc: 3\n", {"name": "local", "args": {"workers": 3}}),
        ("code_provider: e2b\ne2b_router_url: http://h:1\n", {"args": {"endpoints": "http://h:1"}}),
        ("morph_router_url: http://h:2\n", {"name": "router", "args": {"endpoints": "http://h:2"}}),
    ],
)
def test_code_providers_and_routers(migrated, text, code):
    draft = migrated(SMALL + "reward_funcs: [code]\n" + text)
    given = draft.recipe["code"]
    assert given == {"name": given["name"], **code}
    assert {line.partition(":")[0] for line in text.splitlines()} <= {n.old for n in draft.notes}


def test_a_mixture_of_open_r1(migrated, plugins, tmp_path):
    draft = migrated(
        """
model_name_or_path: Qwen/Qwen2.5-0.5B
dataset_prompt_column: problem
reward_funcs: [accuracy]
dataset_mixture:
  datasets:
    - {id: a/b, config: c, split: "train[:10]", columns: [problem, solution], weight: 0.5}
    - {id: d/e, weight: null, oops: 1}
  seed: 7
  test_split_size: 0.1
"""
    )
    both = {"prompt": "problem", "solution": "solution"}
    assert draft.recipe["dataset"] == {
        "mixture": [
            {
                "name": "hub",
                "args": {"id": "a/b", "config": "c", "split": "train[:10]"},
                "weight": 0.5,
                "columns": both,
            },
            {"name": "hub", "args": {"id": "d/e"}, "columns": both},
        ],
        "seed": 7,
        "test_split_size": 0.1,
    }
    assert draft.recipe["seed"] == 42
    assert note_on(draft, "dataset_mixture.datasets.1.oops").kind == "unknown"
    assert note_on(draft, "dataset_mixture.datasets.1.oops").line == 8
    assert "every checkpoint" in note_on(draft, "dataset_mixture.test_split_size").why


def test_a_mixture_of_trl(migrated):
    draft = migrated(
        """
model_name_or_path: Qwen/Qwen2.5-0.5B
datasets:
  - {path: a/b, name: c, split: train, fraction: 0.3}
test_split_size: 0.1
packing: true
"""
    )
    args = {"id": "a/b", "config": "c", "split": "train"}
    mixture = [{"name": "hub", "args": args}]
    assert draft.recipe["dataset"] == {"mixture": mixture, "test_split_size": 0.1}
    assert draft.recipe["trainer"]["name"] == "sft"
    assert "weight" in note_on(draft, "datasets.0.fraction").why
    assert note_on(draft, "test_split_size").kind == "kept"


EVALUATED = """
model_name_or_path: Qwen/Qwen2.5-0.5B
packing: true
do_eval: true
evaluation_strategy: steps
eval_steps: 50
per_device_eval_batch_size: 4
load_best_model_at_end: true
"""


def test_evaluation_is_kept_with_the_rows_that_it_needs(migrated):
    draft = migrated(EVALUATED + "dataset_mixture: {datasets: [{id: a/b}], test_split_size: 100}\n")
    kept = {"eval_strategy": "steps", "eval_steps": 50, "per_device_eval_batch_size": 4}
    assert kept.items() <= args_of(draft).items()
    assert note_on(draft, "evaluation_strategy").new == "trainer.args.eval_strategy"
    for gone in ("do_eval", "load_best_model_at_end"):
        assert note_on(draft, gone).kind == "removed"


def test_evaluation_of_a_split_of_its_own_is_not_kept(migrated):
    draft = migrated(EVALUATED + "dataset_name: a/b\ndataset_test_split: test\n")
    assert not any("eval" in key for key in args_of(draft))
    assert "dataset.test_split_size" in note_on(draft, "dataset_test_split").why
    assert "no rows are held out" in note_on(draft, "eval_steps").why


def test_defaults_that_have_changed_are_said_for_old_files_only(migrated):
    old = migrated(SMALL + "reward_funcs: [accuracy]\ntorch_dtype: bfloat16\nuse_vllm: true\n")
    assert args_of(old) == {
        "use_vllm": True,
        "beta": 0.04,
        "loss_type": "bnpo",
        "max_completion_length": 256,
        "use_bias_correction_kl": False,
        "vllm_mode": "colocate",
        "vllm_importance_sampling_correction": True,
    }
    assert old.recipe["seed"] == 42
    assert sum(note.kind == "added" for note in old.notes) >= 4
    new = migrated(SMALL + "reward_funcs: [accuracy_reward]\ndtype: bfloat16\noutput_dir: x\n")
    assert args_of(new) == {}
    packed = migrated(SMALL + "torch_dtype: bfloat16\npacking: true\n")
    assert args_of(packed) == {"packing": True, "packing_strategy": "wrapped"}


def test_weights_of_no_dtype_are_float32_as_trl_loads_them(migrated):
    assert migrated(SMALL).recipe["model"]["dtype"] == "float32"
    assert migrated(SMALL + "dtype: auto\n").recipe["model"]["dtype"] == "auto"


def test_an_empty_value_that_means_something_is_kept(migrated):
    draft = migrated(SMALL + "max_length: null\nsave_total_limit: null\nquite_new: null\n")
    assert args_of(draft) == {"max_length": None}
    assert note_on(draft, "save_total_limit").why == "it is empty"
    assert note_on(draft, "quite_new").why == "it is empty"


def test_a_setting_of_the_other_trainer_is_said_to_be_one(migrated):
    draft = migrated(SMALL + "reward_funcs: [accuracy]\npacking: true\n")
    assert note_on(draft, "packing").why == "is no setting of grpo"


def test_truth_values_become_words_where_trl_wants_words(migrated):
    draft = migrated(SMALL + "save_strategy: no\nscale_rewards: false\n")
    assert args_of(draft)["save_strategy"] == "no"
    assert args_of(draft)["scale_rewards"] == "none"
    assert note_on(draft, "scale_rewards").why == "False is called none"


def test_slurm_and_accelerate_keys_have_a_place_or_a_reason(migrated):
    draft = migrated(
        SMALL + "accelerate_config: recipes/accelerate_configs/zero3.yaml\nnum_processes: 16\n"
        "num_machines: 2\npartition: hopper\ntp: 2\n"
    )
    assert draft.recipe["launch"] == {"accelerator": "zero3", "processes": 16}
    assert "--nodes" in note_on(draft, "num_machines").why
    assert "site.yaml" in note_on(draft, "partition").why
    assert "r1 serve" in note_on(draft, "tp").why


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "holds no recipe"),
        ("", "holds no recipe"),
        ("model: {name: x}\ntrainer: {name: sft}\n", "is a recipe of r1 already"),
        ("dataset_name: a/b\n", "model_name_or_path is missing"),
        ("model_name_or_path: a/b\n", "neither dataset_name nor dataset_mixture"),
        (SMALL + "reward_funcs: [accuracy]\nreward_weights: [1, 2]\n", "2 numbers for 1 rewards"),
        (SMALL + "per_device_train_batch_size: many\n", "is no count"),
        ("model_name_or_path: a/b\ndataset_mixture: [x]\n", "holds no list of datasets"),
    ],
)
def test_what_cannot_be_migrated_is_said_in_a_line(migrated, text, message):
    with pytest.raises(UsageError, match=message):
        migrated(text)


def test_the_command_writes_a_recipe_that_passes_the_check(r1, tmp_path):
    (tmp_path / "old.yaml").write_text(OPEN_R1["qwen-1.5b-code"] + "hub_token: hf_0123456789\n")
    answer = r1("recipe", "migrate", "old.yaml", "--out", "sub/new.yaml")
    assert answer.exit_code == 0 and "r1 recipe check" in answer.stdout
    assert "removed: hub_token" in answer.stderr and "hf_0123" not in answer.stderr
    assert "hf_0123" not in (tmp_path / "sub/new.yaml").read_text()
    assert r1("recipe", "check", "sub/new.yaml").exit_code == 0


def test_the_command_prints_json_and_overwrites_nothing(r1, tmp_path):
    (tmp_path / "old.yaml").write_text(SMALL + "beta: 0.1\nnum_processes: 2\n")
    answer = r1("recipe", "migrate", "old.yaml", "--json", "--processes", "4")
    told = json.loads(answer.stdout)
    assert told["recipe"]["launch"]["processes"] == 4
    assert {"kind": "kept", "old": "beta", "line": 4, "new": "trainer.args.beta", "why": ""} in (
        told["report"]
    )
    before = (tmp_path / "old.yaml").read_text()
    assert r1("recipe", "migrate", "old.yaml", "--out", "old.yaml").exit_code == 2
    assert r1("recipe", "migrate", "old.yaml", "--trainer", "dpo").exit_code == 2
    assert (tmp_path / "old.yaml").read_text() == before


@pytest.mark.parametrize(
    "value", ["x", 0, -1, 1.5, "[]", "[x]", "[{}]", "[null]", "{x: 1}", "[[a]]"]
)
def test_values_of_any_kind_are_carried_or_refused_in_a_line(migrated, value):
    every = {*keys.RENAMED, *keys.GONE, *KNOBS, "reward_funcs", "reward_weights", "benchmarks"}
    every |= {"callbacks", "dataset_mixture", "datasets", "model_init_kwargs", "num_processes"}
    for key in every - {"model_name_or_path"}:
        try:
            draft = migrated(f"{SMALL}{key}: {value}\n")
        except UsageError:
            continue
        assert key in {note.old for note in draft.notes}, key
        source.dump(draft.recipe)


@pytest.mark.train
def test_a_migrated_recipe_trains(r1, tmp_path, plugins):
    from r1cli.data.rows import load_rows

    rows = load_rows("chain_sums", {"size": 16}, plugins).rename_column("prompt", "problem")
    rows.to_json(tmp_path / "rows.jsonl")
    model = plugins["models"].get("r1_tiny_blank").load()()
    (tmp_path / "old.yaml").write_text(
        f"""
model_name_or_path: {model}
torch_dtype: float32
dataset_name: rows.jsonl
dataset_prompt_column: problem
reward_funcs: [accuracy, format]
reward_weights: [1.0, 0.2]
per_device_train_batch_size: 4
gradient_accumulation_steps: 2
num_generations: 4
max_prompt_length: 512
max_completion_length: 8
max_steps: 1
warmup_ratio: 0.1
learning_rate: 1e-4
push_to_hub: true
output_dir: data/first
"""
    )
    r1("recipe", "migrate", "old.yaml", "--processes", "1", "--out", "new.yaml")
    answer = r1("train", "grpo", "--recipe", "new.yaml", "--set", "launch.threads=1")
    assert answer.exit_code == 0, answer.stderr
    assert (tmp_path / "runs/first/model").is_dir()


def test_an_adapter_moves_with_trls_defaults_said(migrated):
    draft = migrated(
        SMALL + "use_peft: true\nlora_r: 32\nuse_dora: true\nload_in_4bit: true\n"
        "bnb_4bit_quant_type: nf4\nlora_task_type: CAUSAL_LM\nattn_implementation: sdpa\n"
    )
    assert draft.recipe["model"]["adapter"] == {
        "rank": 32,
        "alpha": 32,
        "dropout": 0.05,
        "dora": True,
        "targets": ["q_proj", "v_proj"],
        "quantize": "4bit",
    }
    assert note_on(draft, "lora_r").new == "model.adapter.rank"
    assert note_on(draft, "lora_task_type").kind == "removed"
    assert "NF4" in note_on(draft, "bnb_4bit_quant_type").why
    assert draft.recipe["model"]["attention"] == "sdpa"
    Recipe.model_validate(draft.recipe)


@pytest.mark.parametrize(
    ("given", "targets"),
    [("all-linear", "all-linear"), ("[all-linear]", "all-linear"), ("q_proj", ["q_proj"])],
)
def test_targets_are_one_or_many(migrated, given, targets):
    draft = migrated(SMALL + f"use_peft: true\nlora_target_modules: {given}\n")
    assert draft.recipe["model"]["adapter"]["targets"] == targets


def test_lora_keys_that_trained_nothing_are_not_carried(migrated):
    draft = migrated(SMALL + "lora_r: 32\n")
    assert "adapter" not in draft.recipe["model"]
    assert "use_peft is not true" in note_on(draft, "lora_r").why


@pytest.mark.parametrize(
    ("given", "became"),
    [
        ("kernels-community/flash-attn2", "flash_attention_2"),
        ("kernels-community/vllm-flash-attn3", "flash_attention_3"),
        ("flex_attention", None),
    ],
)
def test_attention_of_other_names(migrated, given, became):
    draft = migrated(SMALL + f"model_init_kwargs: {{attn_implementation: {given}}}\n")
    assert draft.recipe["model"].get("attention") == became
    if not became:
        why = note_on(draft, "model_init_kwargs.attn_implementation").why
        assert "none of eager, sdpa, flash_attention_2" in why
