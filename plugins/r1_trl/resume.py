"""Checkpoints that are whole or not there, and hold all that the rest of a run depends on.

Transformers keeps weights, optimizer, schedule, random states and the step. Lost would be what else
a trainer carries from step to step: losses not yet logged, the order of a later epoch, and of GRPO
the completions that it has sampled and not yet learned from. With them a run on CPU that is killed
and goes on ends with the weights, bit for bit, of one that was not (docs/resume.md says where not).
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1_trl import checkpoint_ranks
from r1cli import Run, UsageError, one_line


class Resumable:
    """Mixed into a TRL trainer, before it. `kept` and `drawn` name attributes of the trainer.

    `kept` is the same on every rank or about as good from another one, `drawn` is a rank's own.
    """

    kept: tuple[str, ...] = (
        *("_tr_loss", "_total_loss_scalar", "_globalstep_last_logged"),  # of logging, transformers'
        "_total_train_tokens",  # TRL's
    )
    drawn: tuple[str, ...] = ()
    run: Run
    checkpoint: Path | None = None
    taken_up = False  # all that `checkpoint` holds
    args: Any
    state: Any
    control: Any
    model: Any
    accelerator: Any
    _metrics: dict[str, Any]
    _total_loss_scalar: float
    _step: int
    _writing = False
    _saved = -1

    def _get_output_dir(self, trial: Any = None) -> str:
        return str(self.run.unfinished) if self._writing else super()._get_output_dir(trial)  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint beside the others, every rank its part, then rename it."""
        import torch

        step = self.state.global_step
        if step == self._saved:
            return  # an epoch's end asks once more for what its last step has saved
        main, meet = self.args.should_save, self.accelerator.wait_for_everyone
        beside = self.run.unfinished / f"checkpoint-{step}"
        if main:
            shutil.rmtree(self.run.unfinished, ignore_errors=True)
        meet()
        self._writing = True
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
        finally:
            self._writing = False
        torch.save(self._state(), beside / _state_of(self.args.process_index))
        meet()
        if main:
            checkpoint_ranks.note(beside, self.run.recipe.launch)
            _publish(beside, self.run.checkpoints / beside.name)
            self._drop_old()
            shutil.rmtree(self.run.unfinished)
        meet()
        self._saved = step

    def _drop_old(self) -> None:
        """Keep the newest `save_total_limit`. A name goes before its files: none is half there."""
        limit = self.args.save_total_limit
        for old in self.run.whole_checkpoints()[: -limit if limit else 0]:
            shutil.rmtree(old.rename(self.run.unfinished / old.name))

    def _state(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in (*self.kept, *self.drawn)}
        return {**state, "_metrics": dict(self._metrics["train"])}

    def restore(self, dataloader: Any) -> None:
        """Take up `checkpoint` where transformers has, which resets these on its way."""
        import torch

        if self.checkpoint is None:
            return
        self._saved = self.state.global_step
        _seek(dataloader, int(self.state.epoch))
        same = (
            checkpoint_ranks.about(self.checkpoint).get("processes")
            == self.run.recipe.launch.processes
        )
        path = self.checkpoint / _state_of(self.args.process_index if same else 0)
        if not same:  # TRL draws anew inside a window, and counts what is left of it by this
            self._step = self._saved * self.args.gradient_accumulation_steps
        if path.exists():
            device = self.args.device if self.args.device.type != "cpu" else "cpu"  # no cpu:0
            state = torch.load(path, map_location=device, weights_only=True)
            self._metrics["train"].update(state["_metrics"])
            for name in (*self.kept, *(self.drawn if same else ())):
                setattr(self, name, state[name])
        self.taken_up = True

    def evaluate(self, *args: Any, **given: Any) -> dict[str, float]:
        """As TRL does, without a trace in what is learned.

        A checkpoint that is due is written before, for this may take long or fail: unless its
        schedule is yet to hear of the result.
        """
        if self.control.should_save and self.args.metric_for_best_model is None:
            self._save_checkpoint(self.model, None)
        with undisturbed():
            metrics = super().evaluate(*args, **given)  # type: ignore[misc]
        self.model.train()  # where TRL looks up which metrics to close with
        return dict(metrics)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "train_loss" in logs:  # transformers': of the steps since the last start
            steps = max(self.state.global_step, 1)
            logs["train_loss"] = self._total_loss_scalar / steps
        super().log(logs, start_time)  # type: ignore[misc]

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # Of a checkpoint of the last step, transformers would train one step more.
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*args, **kwargs)  # type: ignore[misc]
        else:
            self.model.train()  # where TRL looks up which metrics to close with


@contextmanager
def readable(trainer: Resumable) -> Iterator[None]:
    """Say which checkpoint it is that cannot be taken up: half of a copy, or a disk that failed."""
    from safetensors import SafetensorError

    try:
        yield
    except (EOFError, OSError, RuntimeError, ValueError, TypeError, SafetensorError) as error:
        if trainer.checkpoint is None or trainer.taken_up:
            raise
        raise UsageError(
            f"{trainer.checkpoint} cannot be read ({one_line(error)}); move it away, and the same "
            "command goes on from the one before it, if there is one"
        ) from error


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put random states back: a checkpoint that is measured meanwhile has them in it already."""
    import numpy as np
    import torch

    ours, numpys = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        yield
    random.setstate(ours)
    np.random.set_state(numpys)


def _state_of(rank: int) -> str:
    return f"r1_state_{rank}.pt"


def _publish(beside: Path, place: Path) -> None:
    """Rename a checkpoint whose files are on the disk; one of that name is half of one."""
    for path in beside.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    shutil.rmtree(place, ignore_errors=True)
    beside.rename(place)


def _seek(dataloader: Any, epochs: int) -> None:
    """Bring a new sampler to where it stands after some epochs.

    TRL's draws every epoch's order from one generator, accelerate's seeds it with the number.
    """
    import torch
    from trl.trainer.utils import RepeatSampler

    batches = dataloader.batch_sampler
    while hasattr(batches, "batch_sampler"):  # a rank's share
        batches = batches.batch_sampler
    sampler = getattr(batches, "sampler", None)
    if isinstance(sampler, RepeatSampler) and sampler.shuffle:
        for _ in range(epochs):
            torch.randperm(sampler.num_samples, generator=sampler.generator)
    elif hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epochs)
