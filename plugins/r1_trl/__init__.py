"""Trainers on TRL: supervised fine-tuning and GRPO with verifiable rewards."""

from r1cli import hookimpl


@hookimpl
def register_trainers(register):
    register("sft", "r1_trl.sft:sft", help="Supervised fine-tuning on prompts and completions.")
    register("grpo", "r1_trl.grpo:grpo", help="GRPO with verifiable rewards (arXiv:2402.03300).")


@hookimpl
def register_callbacks(register):
    register(
        "kill_after",
        "r1_trl.kill_after:kill_after",
        help="kills the run after a step, to try how it goes on",
    )
