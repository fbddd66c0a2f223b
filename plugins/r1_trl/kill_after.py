"""The callback `kill_after`: the end that nothing can prepare for, at a step of one's choice."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from r1cli import Run

if TYPE_CHECKING:
    from transformers import TrainerCallback


def kill_after(run: Run, *, step: int) -> TrainerCallback:
    """SIGKILL to the first rank once it has done `step`: to try how a run goes on.

    `r1 train ... --verify-resume` does.
    """
    from transformers import TrainerCallback

    class KillAfter(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero and state.global_step >= step:
                os.kill(os.getpid(), signal.SIGKILL)

    return KillAfter()
