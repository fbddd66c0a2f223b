"""`r1 plan` against memory that was measured: planned / measured for real steps on a CPU.

    python benchmarks/plan.py              all cases, a minute or three on one core
    python benchmarks/plan.py sft gqa      only cases whose name contains one of the words

A case trains a random model for a few optimizer steps in a child process. Measured is the child's
resident high-water mark (VmHWM) over its resident size before the model exists. That is robust
here because glibc is told to map every block of 64 KiB or more by itself (MALLOC_MMAP_THRESHOLD_):
a freed tensor leaves the process at once, so the resident size follows the live tensors, those
inside kernels too, which a count of Python's tensors would miss. A first training of a model a
hundred times smaller brings in all code and libraries before the base line is taken.

The second table compares with recipes that others have published as running, or as not running.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

GIB = 2**30
VOCAB = 32768
BASE = {
    "model_type": "qwen2",
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "vocab_size": VOCAB,
    "tie_word_embeddings": True,
    "max_position_embeddings": 4096,
}


@dataclass(frozen=True)
class Case:
    """A model (over `BASE`), trainer args, rows of a micro-batch, micro-batches of a step."""

    model: dict = field(default_factory=dict)
    args: dict = field(default_factory=dict)
    micro: int = 4
    accumulation: int = 1
    dtype: str = "float32"
    adapter: dict | None = None  # model.adapter
    group: int = 0  # completions per prompt: GRPO, of prompts of `PROMPT` tokens


PROMPT = 16
GQA = {"num_key_value_heads": 2}
DEEP = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8, "vocab_size": 512}
EAGER = {"attn_implementation": "eager"}
AGAIN = {"gradient_checkpointing": True}

CASES = {
    "sft": Case(args={"max_length": 256}),
    "sft checkpointed": Case(args={"max_length": 256, **AGAIN}),
    "sft accumulated": Case(args={"max_length": 256}, micro=2, accumulation=2),
    "sft gqa": Case(GQA, {"max_length": 512}),
    "sft gqa checkpointed": Case({**GQA, "num_hidden_layers": 8}, {"max_length": 512, **AGAIN}),
    "sft qwen3 untied": Case(
        {"model_type": "qwen3", "head_dim": 64, "tie_word_embeddings": False}, {"max_length": 256}
    ),
    "sft deep": Case(DEEP, {"max_length": 512}, micro=8),
    "sft deep checkpointed": Case(DEEP, {"max_length": 1024, **AGAIN}, micro=8),
    "sft eager": Case({"vocab_size": 512}, {"max_length": 512, "model_init_kwargs": EAGER}, 2),
    "sft autocast": Case(DEEP, {"max_length": 512, "bf16": True}, micro=8),
    "sft bfloat16": Case(DEEP, {"max_length": 512, "bf16": True}, micro=8, dtype="bfloat16"),
    "sft lora": Case(
        {"vocab_size": 512}, {"max_length": 256}, adapter={"targets": ["q_proj", "v_proj"]}
    ),
    "sft lora all-linear": Case({"vocab_size": 512}, {"max_length": 256}, adapter={}),
    "sft dora": Case({"vocab_size": 512}, {"max_length": 256}, adapter={"dora": True}),
    "sft experts": Case(
        {
            **DEEP,
            "model_type": "qwen3_moe",
            "head_dim": 32,
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 512,
        },
        {"max_length": 512},
        micro=8,
    ),
    "sft gemma": Case(
        {**DEEP, "model_type": "gemma3_text", "head_dim": 32}, {"max_length": 512}, micro=8
    ),
    "logits": Case(
        {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1},
        {"max_length": 512},
        micro=2,
    ),
    "sgd": Case(args={"max_length": 128, "optim": "sgd"}, micro=2),
    "grpo": Case({**DEEP, "vocab_size": 4096}, {"max_completion_length": 240}, micro=8, group=8),
    "grpo sampling": Case(
        {**DEEP, "intermediate_size": 256}, {"max_completion_length": 240}, 4, 32, group=8
    ),
}


def recipe_of(case: Case, folder: Path):
    """The recipe that plans and trains a case."""
    from r1cli.recipe import Recipe

    return Recipe.model_validate(
        {
            "model": {"name": str(folder), "dtype": case.dtype, "adapter": case.adapter},
            "dataset": {"name": "none"},
            "trainer": {"name": "grpo" if case.group else "sft", "args": case.args},
        }
    )


def planned(case: str, folder: Path):
    """The part of a case's plan for a CPU that is counted, not assumed."""
    from r1cli.batch import solve
    from r1cli.planning import architecture, setup
    from r1cli.planning.memory import Phase, memory

    recipe = recipe_of(CASES[case], folder)
    model = architecture.read(config_of(case), case)
    one = CASES[case]
    group = one.group or 1
    prompts = one.micro * one.accumulation // group
    batch = solve(prompts, group_size=group, micro_batch=one.micro)
    made = setup.read(recipe, model, batch, device="cpu", prompt_tokens=PROMPT)
    worst = memory(model, made, 64 * GIB).worst
    counted = {part: size for part, size in worst.parts.items() if part != "overhead"}
    return Phase(worst.name, counted)


def config_of(case: str) -> dict:
    return {**BASE, **CASES[case].model}


def measure(case: str) -> float:
    """Bytes that training the case really takes, in a process of its own."""
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, __file__, "--child", case],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr[-2000:]}")
    return float(done.stdout.strip().splitlines()[-1])


def child(case: str) -> None:
    """Train the small model, take the base line, train the case, print the difference."""
    import gc

    tiny = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "num_hidden_layers": 1,
        "vocab_size": 512,
    }
    with tempfile.TemporaryDirectory() as folder:
        _train(case, {**config_of(case), **tiny}, Path(folder) / "warm", length=16)
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
        before = _status("VmRSS")
        _train(case, config_of(case), Path(folder) / "case")
        print(_status("VmHWM") - before)


def _status(key: str) -> int:
    """Bytes from /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def _train(name: str, config: dict, folder: Path, length: int | None = None) -> None:
    """Two optimizer steps of a case, or of a small model on short rows of the same kind."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    case = CASES[name]
    args = dict(case.args)
    attention = args.pop("model_init_kwargs", {}).get("attn_implementation", "sdpa")
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(**config),
        attn_implementation=attention,
        dtype=getattr(torch, case.dtype),
    )
    common = {
        "output_dir": str(folder),
        "use_cpu": True,
        "max_steps": 2,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "per_device_train_batch_size": case.micro,
        "gradient_accumulation_steps": case.accumulation,
        "bf16": False,
        "gradient_checkpointing": False,
        **args,
    }
    make = _grpo_trainer if case.group else _sft_trainer
    make(case, model, common, length).train()


def _sft_trainer(case: Case, model, args: dict, length: int | None):
    """Rows of random tokens; one of each micro-batch has the full length."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from r1_tiny.tokenizer import build_tokenizer
    from r1_trl.adapter import peft_config

    longest, rows = length or args["max_length"], 2 * case.micro * case.accumulation
    lengths = [longest if row % case.micro == 0 else longest - row % 7 for row in range(rows)]
    ids = [torch.randint(8, model.config.vocab_size, (n,)).tolist() for n in lengths]
    return SFTTrainer(
        model=model,
        args=SFTConfig(**args),
        train_dataset=Dataset.from_dict({"input_ids": ids, "labels": ids}),
        processing_class=build_tokenizer(),
        peft_config=peft_config(recipe_of(case, Path("case")), model),
    )


def _grpo_trainer(case: Case, model, args: dict, length: int | None):
    """r1's own GRPO trainer on a random model, which hardly ever ends a completion."""
    import random

    from datasets import Dataset
    from trl import GRPOConfig

    from r1_tiny.tokenizer import build_tokenizer
    from r1_trl.fast import fast_trainer

    tokenizer = build_tokenizer()
    if length:
        args = {**args, "max_completion_length": length}
    return fast_trainer()(
        model=model,
        reward_funcs=[lambda completions, **_: [random.random() for _ in completions]],
        args=GRPOConfig(**args, num_generations=case.group, beta=0.0),
        train_dataset=Dataset.from_dict({"prompt": ["12 + 34 + 56 ="] * 64}),
        processing_class=tokenizer,
    )


QWEN_7B = {
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
QWEN_32B = {
    **QWEN_7B,
    "hidden_size": 5120,
    "num_hidden_layers": 64,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "intermediate_size": 27648,
}
QWEN_3B = {
    **QWEN_7B,
    "hidden_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "intermediate_size": 11008,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
FLASH = {"bf16": True, "model_init_kwargs": {"attn_implementation": "flash_attention_2"}}

# What: model, trainer args, accelerator, ranks, micro-batch, accumulation, whole logits, seen
PUBLISHED = {
    "OpenR1-Distill-7B, 32k, 8 x H100 (liger)": (
        (QWEN_7B, {"max_length": 32768}, "zero3", 8, 2, 8, False),
        "runs",
    ),
    "OlympicCoder-7B, 32k, 8 x H100 (liger)": (
        (QWEN_7B, {"max_length": 32768}, "zero3", 8, 2, 8, False),
        "runs",
    ),
    "OlympicCoder-32B, 22.5k, 128 x H100": (
        (QWEN_32B, {"max_length": 22528, "optim": "paged_adamw_8bit"}, "fsdp", 128, 1, 1, True),
        "runs",
    ),
    "OlympicCoder-32B, 32k, 128 x H100": (
        (QWEN_32B, {"max_length": 32768, "optim": "paged_adamw_8bit"}, "fsdp", 128, 1, 1, True),
        "out of memory",
    ),
    "Qwen2.5-3B, LoRA r 64, GRPO, 3072 tokens, 1 GPU": (
        (QWEN_3B, {"max_length": 3072}, "single", 1, 1, 6, True),
        "about 12 GB",
    ),
}
"""The first four: open-r1's recipes (reference/open_r1.md section 9). The 32B one says that 32k ran
out of memory; it could not use liger, so its trainer held whole logits. The last was measured by a
maintainer in modelscope/ms-swift#3848, with 1024 of its tokens scored."""


def peak_of_published(name: str) -> float:
    """Bytes that the plan gives a rank of a published recipe."""
    from r1cli.batch import BatchPlan
    from r1cli.planning import activations, architecture, setup
    from r1cli.planning.adapter import Adapter, linear_layers
    from r1cli.planning.memory import memory
    from r1cli.recipe import Recipe

    (config, args, accelerator, ranks, micro, steps, whole), _ = PUBLISHED[name]
    recipe = Recipe.model_validate(
        {
            "model": {"name": name, "dtype": "bfloat16"},
            "dataset": {"name": "none"},
            "trainer": {"name": "sft", "args": {**FLASH, **args}},
            "launch": {"accelerator": accelerator, "processes": ranks},
        }
    )
    model = architecture.read(config, name)
    made = setup.read(recipe, model, BatchPlan(micro * steps * ranks, 1, ranks, micro, steps))
    if "LoRA" in name:
        trained = 64 * model.layers * sum(map(sum, linear_layers(model).values()))
        made = replace(made, adapter=Adapter(64, trained), scored=1024)
    peak = memory(model, made, 80 * GIB).peak
    if whole:  # TRL of then had no fused head
        peak += activations.whole_logits(model, made) - activations.head(model, made)
    return peak


def main(words: list[str]) -> None:
    print("| case | planned MiB | measured MiB | ratio | planned for |\n|---|---|---|---|---|")
    for case in CASES:
        if words and not any(word in case for word in words):
            continue
        plan, real = planned(case, Path("case")), measure(case)
        parts = ", ".join(f"{k} {v / 2**20:.0f}" for k, v in plan.parts.items())
        print(
            f"| {case} | {plan.total / 2**20:.0f} | {real / 2**20:.0f} | {plan.total / real:.2f} |"
            f" {plan.name}: {parts} |",
            flush=True,
        )
    print("\n| published | planned GiB of 80 | known |\n|---|---|---|")
    for name, (_, seen) in PUBLISHED.items():
        print(f"| {name} | {peak_of_published(name) / GIB:.1f} | {seen} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main(sys.argv[1:])
