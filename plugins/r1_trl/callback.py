"""What TRL reports, written into the run directory; and a stop that loses nothing."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1_trl import checkpoint_ranks, resume, sharding
from r1_trl.hardware_errors import hardware_errors
from r1cli import Interrupted, R1Error, Run, disk_errors

log = logging.getLogger("r1cli.train")

TWICE_SECONDS = 1.0
NOTHING_DONE = -1
"""The step before an evaluation at the start, which is of step 0."""


class Stop:
    """Whether the user asked to stop. The first signal asks, the second one does not wait.

    SLURM sends SIGTERM twice at once where a partition has no grace time: that is one signal.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self.since = 0.0

    def __call__(self, number: int, frame: Any) -> None:
        if self.asked:
            if time.monotonic() - self.since < TWICE_SECONDS:
                return
            raise KeyboardInterrupt
        self.since = time.monotonic()
        self.asked = signal.Signals(number).name
        log.warning("%s: finishing the step, then saving; once more to stop at once", self.asked)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a request that the trainer meets at its next step."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_callback(run: Run, stop: Stop, trainer: Any) -> Any:
    """The TrainerCallback that keeps metrics.jsonl, tells of checkpoints and obeys a stop."""
    from transformers import TrainerCallback

    class RunCallback(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            trainer.restore(given["train_dataloader"])
            if sharding.is_shared(trainer):
                log.info("shared model: %s", sharding.describe(given["model"]))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if state.is_world_process_zero and logs and logs is not run.measured:
                run.log_metrics({"step": state.global_step, **logs})
            check_gradient(logs or {}, args, state.global_step)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                with resume.undisturbed():
                    run.emit("checkpoint_saved", run=run, path=path, step=state.global_step)
                if run.measured:
                    trainer.callback_handler.on_log(args, state, control, run.measured)

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                log.info("step %d: held out, %s", state.global_step, _held_out(metrics))

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if stop.asked and state.epoch % 1:  # it ends where the same command goes on
                control.should_log = control.should_evaluate = False

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if stopped(stop):
                control.should_save = True
                control.should_training_stop = True
            elif enough(run):
                control.should_training_stop = True

    return RunCallback()


def check_gradient(logs: dict[str, Any], args: Any, step: int) -> None:
    """Raise where the weights are lost, before they are saved in place of good ones.

    A norm that is NaN has made every weight NaN by clipping. With fp16 such a step is left out.
    """
    if not args.fp16 and math.isnan(logs.get("grad_norm") or 0.0):
        raise R1Error(
            f"grad_norm is nan at step {step}: the weights are lost, and not saved; add --fresh "
            f"and lower trainer.args.learning_rate, which is {args.learning_rate:g} (the same "
            "command goes on from the last checkpoint, most likely to the same end)"
        )


def _held_out(metrics: dict[str, Any]) -> str:
    """What an evaluation found: the mean reward, or the loss and how many tokens are foreseen."""
    if metrics.get("eval_reward") is not None:
        return f"reward {metrics['eval_reward']:.3f}"
    accuracy = metrics.get("eval_mean_token_accuracy", float("nan"))
    return f"loss {metrics['eval_loss']:.4f}, token accuracy {accuracy:.1%}"


def stopped(stop: Stop) -> bool:
    """Whether any rank was asked to stop: a signal finds the ranks on both sides of a step's end,
    and one that goes on alone waits for the others for ever."""
    from accelerate import PartialState
    from accelerate.utils import gather_object

    if PartialState().num_processes > 1:
        stop.asked = next(filter(None, gather_object([stop.asked])), None)
    return stop.asked is not None


def enough(run: Run) -> str:
    """Why training should end early, as the first rank knows from its benchmarks, on all ranks."""
    from accelerate import PartialState
    from accelerate.utils import gather_object

    if PartialState().num_processes > 1 and any(b.patience for b in run.recipe.benchmarks):
        run.enough = next(filter(None, gather_object([run.enough])), "")
    if run.enough and PartialState().is_main_process:
        log.info("stopping early: %s", run.enough)
    return run.enough


def _agreed(checkpoint: Path | None) -> Path | None:
    """What the first rank has found, whose word holds where a disk is slow to tell the others."""
    from accelerate.utils import broadcast_object_list

    found = [checkpoint]
    broadcast_object_list(found)
    return found[0]


def train(trainer: Any, run: Run) -> None:
    """Train a `Resumable`, from the last whole checkpoint if there is one.

    Raises Interrupted after a stop, with the checkpoint kept.
    """
    from transformers import PrinterCallback

    checkpoint, step = _agreed(run.last_checkpoint()), NOTHING_DONE
    if checkpoint:
        checkpoint_ranks.check(checkpoint, run)
        step = int(checkpoint.name.split("-")[-1])
        trainer.args.eval_on_start = False  # it was, when the run started
    if trainer.accelerator.is_main_process:
        if checkpoint:
            log.info("resuming %s from step %d", run.directory, step)
        run.forget_after(step, closing="train_runtime")
    trainer.run, trainer.checkpoint = run, checkpoint
    with (
        stop_on_signal() as stop,
        resume.readable(trainer),
        disk_errors(run.directory),
        hardware_errors(trainer),
    ):
        trainer.remove_callback(PrinterCallback)  # the run's own callbacks say it better
        trainer.add_callback(run_callback(run, stop, trainer))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if stop.asked:
        raise Interrupted(
            f"stopped by {stop.asked} at step {trainer.state.global_step}; the checkpoint is kept "
            f"in {run.checkpoints}, the same command goes on from it"
        )
