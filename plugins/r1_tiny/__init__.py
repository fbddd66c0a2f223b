"""The embedded default: a 0.3M-parameter model and a task on which it learns to think."""

from r1cli import hookimpl


@hookimpl
def register_datasets(register):
    register(
        "chain_sums",
        "r1_tiny.chain_sums:chain_sums",
        help="chained one-digit sums, with demonstrations that show all, half or none of the work",
    )


@hookimpl
def register_benchmarks(register):
    register("chain_sums", "r1_tiny.benchmark:chain_sums", help="held-out chained sums")


@hookimpl
def register_models(register):
    register("r1_tiny", "r1_tiny.model:r1_tiny", help="0.3M parameters, cold-started on chain_sums")
    register("r1_tiny_blank", "r1_tiny.model:r1_tiny_blank", help="0.3M parameters, random weights")
