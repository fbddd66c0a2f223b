"""What became of the keys of open-r1 (TRL 0.18, transformers 4.52): tables, and nothing else.

What is in no table is a field of TRL 1.16's config class of the same name, or unknown.
"""

from __future__ import annotations

ARGS = "trainer.args."

RENAMED = {
    "model_name_or_path": ("model.name", "a model has its own section"),
    "model_revision": ("model.revision", "a model has its own section"),
    "torch_dtype": ("model.dtype", "transformers calls it dtype"),
    "dtype": ("model.dtype", "a model has its own section"),
    "chat_template": ("model.chat_template", "the tokenizer's, so it stands with the model"),
    "run_name": ("name", "it names the run directory"),
    "seed": ("seed", "one seed for data, sampling and training"),
    "system_prompt": ("system_prompt", ""),
    "evaluation_strategy": (ARGS + "eval_strategy", "renamed by transformers"),
    "warmup_ratio": (ARGS + "warmup_steps", "below 1 it is a share of the steps"),
    "wandb_log_unique_prompts": (ARGS + "log_unique_prompts", "TRL's own field"),
    "max_seq_length": (ARGS + "max_length", "renamed by TRL"),
    "no_cuda": (ARGS + "use_cpu", "renamed by transformers"),
    "vllm_guided_decoding_regex": (ARGS + "vllm_structured_outputs_regex", "renamed by vLLM"),
    "vllm_max_model_len": (ARGS + "vllm_max_model_length", "renamed by TRL"),
    "vllm_importance_sampling_cap": (
        ARGS + "vllm_importance_sampling_clip_max",
        "renamed by TRL, which also bounds it below",
    ),
    "use_transformers_paged": (
        ARGS + "use_transformers_continuous_batching",
        "renamed by TRL",
    ),
    "gradient_checkpointing_use_reentrant": (
        ARGS + "gradient_checkpointing_kwargs.use_reentrant",
        "an argument of the checkpointing itself",
    ),
}
"""Old key to new place and why. A `trainer.args` key that is not named here keeps its name."""

_HUB = "training pushes nothing; afterwards: r1 push RUN"
_EVAL = "rows of dataset.test_split_size are evaluated, with every checkpoint unless it says else"
_BEST = "the policy is that of the last step; a benchmark with every and patience stops early"
_WANDB = "export it for Weights & Biases as {}; trainer.args.report_to: wandb turns it on"
_LIGER = "TRL's fused output layer is always on; Liger is no option of it any more"
_NODES = "no part of a recipe: r1 train ... --on slurm --nodes N"
_SITE = "of one cluster: say it in ~/.config/r1/site.yaml, then r1 train ... --on slurm"
_SERVER = "vLLM's server is started apart: r1 serve MODEL"
_FILTER = "pass-rate filtering is no training: r1 generate, then r1 reward score (docs/migrate.md)"
_CODE_TRUST = "no code is loaded with a model; convert the model to a transformers architecture"
_DROPPED = "transformers 5 has no such setting"

GONE = {
    "output_dir": "runs are kept in runs/NAME; elsewhere: r1 train ... --run DIR",
    "overwrite_output_dir": "a run goes on where it stopped; anew: r1 train ... --fresh",
    "resume_from_checkpoint": "a run goes on where it stopped by itself",
    "data_seed": "seed, at the top, is that of the data too",
    "max_prompt_length": (
        "TRL cuts no prompts any more; those that leave no room for max_completion_length in the "
        "model's context are left out and counted"
    ),
    "vllm_device": "vLLM shares the training GPUs (vllm_mode: colocate) or has a server",
    "vllm_dtype": "vLLM takes model.dtype",
    "trust_remote_code": _CODE_TRUST,
    "use_liger_kernel": _LIGER,
    "use_liger_loss": _LIGER,
    "use_liger": _LIGER,
    "group_by_length": "transformers calls it train_sampling_strategy: group_by_length",
    "logging_dir": "curves are kept in the run directory",
    "save_safetensors": "safetensors is the only format",
    "include_tokens_per_second": _DROPPED,
    "include_for_metrics": "loss, token accuracy and rewards are all that is computed",
    "dispatch_batches": _DROPPED,
    "split_batches": _DROPPED,
    "ignore_bias_buffers": "a work-around for old versions of DDP",
    "dataset_streaming": "datasets are loaded whole",
    "dataset_test_split": (
        "what is evaluated is held out of the training rows: dataset.test_split_size; a benchmark "
        "measures another file or split (docs/evaluation.md)"
    ),
    "do_train": "r1 train trains",
    "do_predict": _EVAL,
    "do_eval": _EVAL,
    "load_best_model_at_end": _BEST,
    "metric_for_best_model": _BEST,
    "greater_is_better": _BEST,
    "push_to_hub": _HUB,
    "push_to_hub_revision": _HUB,
    "overwrite_hub_revision": _HUB,
    "hub_model_id": _HUB,
    "hub_model_revision": _HUB,
    "hub_revision": _HUB,
    "hub_strategy": _HUB,
    "hub_private_repo": _HUB,
    "hub_always_push": _HUB,
    "hub_token": "keep tokens out of files: hf auth login, or HF_TOKEN",
    "log_completions_hub_repo": "every rollout is kept in the run directory; " + _HUB,
    "wandb_entity": _WANDB.format("WANDB_ENTITY"),
    "wandb_project": _WANDB.format("WANDB_PROJECT"),
    "wandb_run_group": _WANDB.format("WANDB_RUN_GROUP"),
    "env": "export these variables before r1 is started",
    "reward_model_name_or_path": "a model as a reward is a plugin: r1 plugins new",
    "code_eval_test_batch_size": "how many tests run at once is for the code provider to say",
    "code_eval_scoring_mode": "was of cf_code; whether all tests must pass: code or binary_code",
    "ioi_provider": "was of ioi_code",
    "deepspeed": "launch.accelerator: zero2 or zero3",
    "fsdp": "launch.accelerator: fsdp",
    "fsdp_config": "launch.accelerator: fsdp",
    "num_machines": _NODES,
    "machine_rank": _NODES,
    "nodes": _NODES,
    "num_nodes": _NODES,
    "main_process_port": "chosen by the launcher",
    "mixed_precision": "trainer.args.bf16 says it",
    "config_file": "accelerate's files are chosen by launch.accelerator",
    "partition": _SITE,
    "account": _SITE,
    "qos": _SITE,
    "gres": _SITE,
    "gpus_per_node": _SITE,
    "job_name": "name, at the top, names the job",
    "dp": _SERVER + " --dp N",
    "tp": _SERVER + " --tp N",
    "output_dataset_name": _FILTER,
    "pass_rate_min": _FILTER,
    "pass_rate_max": _FILTER,
    "dataset_start_index": "a slice of the split: dataset.args.split: train[A:B]",
    "dataset_end_index": "a slice of the split: dataset.args.split: train[A:B]",
}
"""Old key to what to do instead."""

EVALUATION = (
    *("eval_strategy", "evaluation_strategy", "eval_steps", "eval_delay", "eval_on_start"),
    *("eval_packing", "eval_accumulation_steps", "per_device_eval_batch_size"),
    "num_generations_eval",
)
"""Kept where rows are held out; without any there is nothing that they could be about."""

NOTHING_HELD_OUT = (
    "no rows are held out to evaluate: say dataset.test_split_size, then this key too"
)

ACCELERATORS = {
    "single_gpu": "single",
    "multi_gpu": "ddp",
    "zero1": "zero2",
    "fsdp1": "fsdp",
    "fsdp2": "fsdp",
}
"""Names of TRL's accelerate files that r1 has others for."""

WORDS = {
    "scale_rewards": {True: "group", False: "none"},
    "save_strategy": {False: "no"},
    "logging_strategy": {False: "no"},
    "eval_strategy": {False: "no"},
}
"""Values that are words today. (YAML 1.1 reads a bare `no` as false.)"""

OLD = {
    *("torch_dtype", "warmup_ratio", "max_prompt_length", "max_seq_length", "evaluation_strategy"),
    *("overwrite_output_dir", "logging_dir", "save_safetensors", "group_by_length", "no_cuda"),
    *("vllm_device", "vllm_guided_decoding_regex", "use_liger_loss", "dataset_prompt_column"),
    *("dataset_mixture", "system_prompt", "chat_template", "callbacks", "code_provider"),
    *("hub_model_revision", "push_to_hub_revision", "overwrite_hub_revision"),
    *("wandb_log_unique_prompts", "wandb_entity", "wandb_project", "wandb_run_group"),
}
"""Keys that only an old TRL, an old transformers or open-r1 took."""

OLD_DEFAULTS = {"beta": 0.04, "loss_type": "bnpo", "max_completion_length": 256}
"""GRPO's defaults in TRL 0.18 that TRL 1.16 has changed, for every recipe of it."""
