"""Time one GRPO step of the tiny model: plain TRL against r1's trainer, alternately, in one run.

    python benchmarks/tiny.py                     # cold-starts a model first, about a minute
    python benchmarks/tiny.py --full 1            # long completions, as late in a run
    python benchmarks/tiny.py --model PATH        # a cold-started model saved earlier
    python benchmarks/tiny.py --defaults          # and TRL's own precision and checkpointing

Every trainer starts each round from the same weights, on the same problems, with the same settings:
32 prompts x 8 completions of at most 56 tokens, 4 micro-batches of 64. Times are CPU seconds of the
process, which a busy machine stretches less than the clock.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import re
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

PHASES = {  # what is timed, and the method that does it
    "sampling": "_generate_single_turn",
    "scoring": "_calculate_rewards",
    "log-probs": "_get_per_token_logps_and_entropies",
}
COLUMNS = (*PHASES, "backward", "overhead", "total", "accuracy", "tokens", "rows kept")
ANSWER = re.compile(r"<think>[^<]*</think><answer>(-?\d+)</answer>")


def accuracy(completions: list[str], solution: list[str], **_: Any) -> list[float]:
    matches = [ANSWER.fullmatch(text) for text in completions]
    return [float(bool(m) and m[1] == gold) for m, gold in zip(matches, solution, strict=True)]


def well_formed(completions: list[str], **_: Any) -> list[float]:
    return [float(bool(ANSWER.fullmatch(text))) for text in completions]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4, help="timed steps per round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per trainer, alternating")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="random", help="random (cold-started here) or a folder")
    parser.add_argument("--sft-steps", type=int, default=1000, help="cold start of `random`")
    parser.add_argument(
        "--full", type=float, default=0.4, help="share of demonstrations that show all work"
    )
    parser.add_argument("--defaults", action="store_true", help="add TRL's default precision")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

    import torch
    from trl import GRPOTrainer

    from r1_trl.fast import fast_trainer

    torch.set_num_threads(options.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    settings = {"TRL": (GRPOTrainer, {}), "r1": (fast_trainer(), {})}
    if options.defaults:
        changes = {"bf16": True, "gradient_checkpointing": True}
        settings["TRL, bf16 + checkpointing"] = (GRPOTrainer, changes)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.model
        if folder == "random":
            folder = cold_start(Path(scratch) / "model", options.sft_steps, options.full)
        seen: dict[str, list[dict[str, float]]] = {name: [] for name in settings}
        for round_ in range(options.rounds):
            for name, (trainer_class, changes) in settings.items():
                seen[name] += timed(trainer_class, folder, scratch, round_, options.steps, changes)
    report(seen)


def cold_start(folder: Path, steps: int, full: float) -> str:
    """Supervised steps on demonstrations of recipe W, so that completions end by themselves."""
    import torch
    from transformers import Qwen3ForCausalLM

    from r1_tiny.chain_sums import chain_sums
    from r1_tiny.model import tiny_config
    from r1_tiny.tokenizer import build_tokenizer

    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(tiny_config(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98))
    rows = chain_sums(size=16 * steps, demos={"full": full, "none": 1 - full})
    for step in range(steps):
        texts = [
            chat(tokenizer, row["prompt"]) + row["completion"] + tokenizer.eos_token
            for row in rows[16 * step : 16 * step + 16]
        ]
        batch = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        labels[:, : len(tokenizer(chat(tokenizer, rows[0]["prompt"]))["input_ids"])] = -100
        model(**batch, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        warm = min(1.0, (step + 1) / (0.1 * steps)) * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.param_groups[0]["lr"] = 3e-3 * warm
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def chat(tokenizer: Any, prompt: str) -> str:
    messages = [{"role": "user", "content": prompt}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def timed(
    trainer_class: Any, folder: str, scratch: str, seed: int, steps: int, changes: dict[str, bool]
) -> list[dict[str, float]]:
    """Train for one step to warm up and `steps` more; return the seconds of each by phase."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig

    from r1_tiny.chain_sums import chain_sums

    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = chain_sums(size=32 * (steps + 1), seed=seed)
    data = [{"prompt": chat(tokenizer, r["prompt"]), "solution": r["solution"]} for r in rows]
    config = GRPOConfig(
        output_dir=scratch, seed=seed, max_steps=steps + 1, save_strategy="no", report_to=[],
        per_device_train_batch_size=64, gradient_accumulation_steps=4, num_generations=8,
        max_completion_length=56, learning_rate=5e-4, lr_scheduler_type="constant_with_warmup",
        warmup_steps=5, adam_beta2=0.98, epsilon_high=0.28, reward_weights=[1.0, 0.1],
        logging_steps=1, disable_tqdm=True, use_cpu=True,
        **({"bf16": False, "gradient_checkpointing": False} | changes),
    )  # fmt: skip
    trainer = trainer_class(
        model=AutoModelForCausalLM.from_pretrained(folder),
        reward_funcs=[accuracy, well_formed],
        args=config,
        train_dataset=Dataset.from_list(data),
        processing_class=tokenizer,
    )
    spent: dict[str, float] = defaultdict(float)
    for phase, method in PHASES.items():
        setattr(trainer, method, stopwatch(getattr(trainer, method), spent, phase))
    trainer.accelerator.backward = stopwatch(trainer.accelerator.backward, spent, "backward")
    taken: list[dict[str, float]] = []

    class Steps(TrainerCallback):
        began = time.process_time()

        def on_step_end(self, args, state, control, **kwargs):
            total = time.process_time() - self.began
            taken.append(spent | {"total": total, "overhead": total - sum(spent.values())})
            spent.clear()

        def on_log(self, args, state, control, logs, **kwargs):
            if "rewards/accuracy/mean" in logs:
                taken[-1]["accuracy"] = logs["rewards/accuracy/mean"]
                taken[-1]["tokens"] = logs["completions/mean_length"]
                taken[-1]["rows kept"] = logs.get("frac_rows_with_gradient", 1.0)
            self.began = time.process_time()  # logging is the benchmark's, not the step's

    trainer.remove_callback(type(trainer.callback_handler.callbacks[-1]))  # prints every log line
    trainer.add_callback(Steps())
    trainer.train()
    return taken[1:]


def stopwatch(function: Any, spent: dict[str, float], phase: str) -> Any:
    def measured(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[phase] += time.process_time() - began

    return measured


def report(seen: dict[str, list[dict[str, float]]]) -> None:
    mean = {
        name: {key: sum(step[key] for step in steps) / len(steps) for key in steps[0]}
        for name, steps in seen.items()
    }
    print(f"CPU seconds per step of 256 completions, mean of {len(seen['r1'])} steps")
    print(f"{'':26}" + "".join(f"{column:>10}" for column in COLUMNS) + "  total / r1")
    for name, row in mean.items():
        ratio = row["total"] / mean["r1"]["total"]
        print(f"{name:26}" + "".join(f"{row[c]:10.3f}" for c in COLUMNS) + f"{ratio:12.2f}")


if __name__ == "__main__":
    main()
