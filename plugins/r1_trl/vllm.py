"""vLLM as TRL's GRPO trainer uses it: in the training process, or as a server of its own.

TRL 1.16 passes a fixed set of options to the engine, replaces its weights in a way that only GPUs
allow, and waits for a server without a word. While `ours` is open, TRL builds r1's `Generation`
instead of its own; where there is a GPU, weights go TRL's way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from r1_trl.standing_in import standing_in
from r1_trl.vllm_client import ServerLost
from r1_trl.vllm_generation import generation_class
from r1cli import ProviderError, Recipe, UsageError, require

URL_ENV = "R1_SERVER_URL"


def arguments(recipe: Recipe) -> dict[str, Any]:
    """What is derived for TRL's config; raises UsageError for keys that contradict each other."""
    given = recipe.trainer.args
    if not given.get("use_vllm"):
        if recipe.vllm.extra:
            raise UsageError(
                f"{recipe.where('vllm', 'extra')} is for vLLM; set trainer.args.use_vllm"
            )
        return {}
    if given.get("vllm_mode", "colocate") != "server":
        if "processes" in recipe.launch.model_fields_set:  # else the hardware will say
            _check_ranks(recipe)
        return {}
    if recipe.vllm.extra:
        raise UsageError(
            f"{recipe.where('vllm', 'extra')} is for vLLM in the training process; a server takes "
            "its options where it is started: r1 serve MODEL --extra KEY=VALUE"
        )
    url = os.environ.get(URL_ENV)
    said = any(f"vllm_server_{part}" in given for part in ("base_url", "host", "port"))
    return {"vllm_server_base_url": url} if url and not said else {}


def _check_ranks(recipe: Recipe) -> None:
    """Raise UsageError unless the training processes form whole tensor-parallel groups."""
    parallel = recipe.trainer.args.get("vllm_tensor_parallel_size", 1)
    if isinstance(parallel, int) and parallel > 0 and recipe.launch.processes % parallel:
        where = recipe.where("trainer", "args", "vllm_tensor_parallel_size")
        raise UsageError(
            f"{where} = {parallel} does not divide the {recipe.launch.processes} training "
            "process(es) that vLLM shares"
        )


@contextmanager
def ours(recipe: Recipe, model: Any, folder: Path) -> Iterator[None]:
    """TRL's trainer, constructed in here, samples through r1's `Generation`.

    A server without a GPU reads the policy's weights from `folder`, which both must see.
    """
    if not recipe.trainer.args.get("use_vllm"):
        yield
        return
    require("vllm", "vllm")
    if recipe.trainer.args.get("vllm_mode", "colocate") != "server":
        _check_ranks(recipe)
    from trl.trainer import grpo_trainer

    build = partial(generation_class(), options=_options(recipe, model), folder=folder)
    with standing_in(grpo_trainer, VLLMGeneration=build):
        yield


def _options(recipe: Recipe, model: Any) -> dict[str, Any]:
    """Engine options over TRL's: the user's last."""
    import torch

    options: dict[str, Any] = {}
    if not torch.cuda.is_available():
        # vLLM would read a float32 checkpoint as 16 bits.
        options["dtype"] = str(model.dtype).removeprefix("torch.")
    if recipe.model.edits:  # vLLM reads the checkpoint's own config.json
        config = model.config.get_text_config().to_dict()
        names = ("rope_parameters", "max_position_embeddings")
        options["hf_overrides"] = {name: config[name] for name in names if name in config}
    return options | recipe.vllm.extra


@contextmanager
def saved_when_lost(trainer: Any, checkpoints: Path) -> Iterator[None]:
    """A server that is lost ends the run with a checkpoint of the last whole step."""
    try:
        yield
    except ServerLost as error:
        step = trainer.state.global_step
        kept = "no step was finished"
        if step:
            trainer._save_checkpoint(trainer.model, trial=None)
            kept = f"step {step} is kept in {checkpoints}"
        raise ProviderError(f"{error}; {kept}; the same command goes on from there") from error
