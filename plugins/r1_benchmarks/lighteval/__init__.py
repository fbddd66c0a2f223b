"""LightEval itself beside ours: its tasks, prompts, answer extraction and metrics.

It pins libraries that ours cannot share, so it runs in an environment of its own:

    environment.py   made with uv, once          session.py   that process, asked by JSON lines
    program.py       what runs in it             reward.py    what it says of a completion
    task.py          its problems and prompts, as a benchmark of ours
"""

from __future__ import annotations

VERSION = "0.13.0"
"""The LightEval that is run where no other is asked for."""
