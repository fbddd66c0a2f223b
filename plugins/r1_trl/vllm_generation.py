"""TRL's `VLLMGeneration` with any option of the engine, on CPUs, and with a server that may die."""

from __future__ import annotations

import gc
import logging
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from r1_trl.standing_in import standing_in
from r1_trl.vllm_client import ServerLost, client_class
from r1cli import UsageError, one_line

log = logging.getLogger("r1cli.vllm")

RANK = frozenset({"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"})


def _pack_again(model: Any) -> None:
    """An output head tied to the embedding is packed by itself, and vLLM 0.32 does not load it."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if hasattr(module, "cpu_linear") and weight is not None and weight.numel():
            module.quant_method.process_weights_after_loading(module)


def generation_class() -> type:
    """TRL's `VLLMGeneration` with any engine option, CPUs, and a server that may be lost."""
    import torch
    from accelerate.utils import broadcast_object_list
    from trl.generation import vllm_generation

    class Generation(vllm_generation.VLLMGeneration):  # type: ignore[misc]
        def __init__(self, *args: Any, options: dict[str, Any], folder: Path, **given: Any) -> None:
            self.options, self.folder = options, folder
            super().__init__(*args, **given)

        def _init_vllm(self) -> None:
            client = partial(client_class(), folder=self.folder)
            before = dict(os.environ)
            with standing_in(vllm_generation, LLM=self._engine, VLLMClient=client):
                super()._init_vllm()
            # TRL tells vLLM its rank by the environment, where a later stage of this process would
            # read that it is one rank of a launch.
            for name in RANK.difference(before):
                os.environ.pop(name, None)

        def _engine(self, **given: Any) -> Any:
            from vllm import LLM

            try:
                return LLM(**given | {"use_tqdm_on_load": False} | self.options)
            except (TypeError, ValueError) as error:  # pydantic's errors are ValueErrors
                raise UsageError(f"vLLM cannot start: {one_line(error)}") from error

        def sync_weights(self) -> None:
            if self.mode == "server":
                super().sync_weights()
                self._lost_together()
            elif self.accelerator.device.type == "cuda":
                super().sync_weights()
            else:
                # On CPUs vLLM keeps weights packed, so they cannot be replaced one at a time.
                weights = {"weights_iterator": self._iter_named_params()}
                self.llm.collective_rpc("reload_weights", kwargs=weights)
                self.llm.apply_model(_pack_again)
                self.llm.reset_prefix_cache()

        def generate(self, *args: Any, **given: Any) -> tuple[Any, ...]:
            drawn: tuple[Any, ...] = super().generate(*args, **given)
            if self.mode == "server" and self._lost_together():
                log.warning("vLLM's server is back: it gets the weights, and samples again")
                self.sync_weights()
                drawn = super().generate(*args, **given)
                self._lost_together()
            return drawn

        def close(self) -> None:
            """Free what vLLM holds in this process: a benchmark comes next, or another stage."""
            if self.mode == "server":
                if self.accelerator.is_main_process:
                    shutil.rmtree(self.folder, ignore_errors=True)
                return
            engine = self.llm.llm_engine
            if self.accelerator.num_processes == 1:
                engine.engine_core.shutdown()
            else:  # that would end torch.distributed too, over which the ranks save the policy
                engine.model_executor.shutdown()
            del self.llm, engine
            gc.collect()
            if self.accelerator.device.type == "cuda":
                torch.cuda.empty_cache()

        def _lost_together(self) -> bool:
            """Raise on every rank what the first one met; whether the server was away for a while.

            Only the first rank talks to the server. The others would wait for it for ever.
            """
            told: list[Any] = [None, False]
            if self.accelerator.is_main_process:
                client = self.vllm_client
                told = [client.lost and str(client.lost), client.returned]
                client.returned = False
            broadcast_object_list(told)
            if told[0]:
                raise ServerLost(told[0])
            return bool(told[1])

    return Generation
