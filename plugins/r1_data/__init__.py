"""Where rows come from: a procedural task, a file, the hub."""

from r1cli import Register, hookimpl


@hookimpl
def register_datasets(register: Register) -> None:
    register(
        "countdown",
        "r1_data.countdown:countdown",
        help="reach a target with given numbers and + - * /; procedural, always solvable",
    )
    register("file", "r1_data.file:file", help="rows of one JSONL, JSON, Parquet or CSV file")
    register("hub", "r1_data.hub:hub", help="a dataset of the Hugging Face hub or a local folder")
    register(
        "reasoning_gym",
        "r1_data.reasoning_gym:reasoning_gym",
        help="problems of any Reasoning Gym task; procedural",
    )


@hookimpl
def register_rewards(register: Register) -> None:
    register(
        "reasoning_gym",
        "r1_data.reasoning_gym:score",
        help="what the verifier of a Reasoning Gym `task` gives the answer",
    )
