"""Ranks that say nothing for long: where each of them stands, so that the hung one is known.

One rank that is stuck keeps all others waiting in a collective. None is killed here, as slow is not
dead; torch gives up by itself (`trainer.args.ddp_timeout`, 30 minutes), after this has spoken.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from r1cli import UsageError, ui

MINUTES = "R1_QUIET_MINUTES"
DUMP_SECONDS = 2.0
FRAME = re.compile(r'Current thread .*\n\s*File "(.*)", line (\d+) in (.*)')


class Silence:
    """Watches the files of a run for growth; after minutes without any, asks every rank for its
    stack (faulthandler, SIGUSR2), which goes into its log, and tells where each stands."""

    def __init__(self, run: Path, notes: Path) -> None:
        self.run, self.notes = run, notes
        text = os.environ.get(MINUTES, "20")
        try:
            self.seconds = 60 * float(text)
        except ValueError:
            raise UsageError(f"{MINUTES} = {text!r} is not a number of minutes") from None
        self.heard = time.time()

    def listen(self, logs: Path) -> None:
        """To be called often; `logs` is where the ranks' logs are now."""
        quiet = time.time() - self.heard
        if quiet < self.seconds or self.seconds <= 0 or not any(self.notes.glob("*.pid")):
            return
        # Only now, as the run directory may be on a slow network.
        self.heard = max(self.heard, self._last_word(logs))
        if time.time() - self.heard >= self.seconds:
            self._ask(logs)
            self.heard = time.time()

    def _last_word(self, logs: Path) -> float:
        words = [*logs.glob("rank-*.log"), *self.run.glob("*")]
        times = []
        for path in words:
            with suppress(OSError):
                times.append(path.stat().st_mtime)
        return max(times, default=0.0)

    def _ask(self, logs: Path) -> None:
        ends = {log: log.stat().st_size for log in sorted(logs.glob("rank-*.log"))}
        for note in self.notes.glob("*.pid"):
            with suppress(ProcessLookupError):
                os.kill(int(note.read_text()), signal.SIGUSR2)
        time.sleep(DUMP_SECONDS)
        dumps = {
            log.stem: log.read_bytes()[end:].decode("utf-8", "replace") for log, end in ends.items()
        }
        minutes = f"{self.seconds / 60:.3g} minutes"
        ui.say(
            f"warning: no word from the ranks for {minutes}; {standing(dumps)} "
            f"(all stacks: {logs}/rank-*.log)"
        )


def standing(dumps: dict[str, str]) -> str:
    """Where the ranks are, the place of the fewest first: one rank alone is the one to look at."""
    places = defaultdict(list)
    for name, dump in dumps.items():
        found = FRAME.search(dump)
        place = f"{Path(found[1]).name}:{found[2]} in {found[3]}" if found else "an unknown place"
        places[place].append(name.removeprefix("rank-"))
    groups = sorted(places.items(), key=lambda item: len(item[1]))
    return "; ".join(
        f"rank{'s' if len(ranks) > 1 else ''} {', '.join(ranks)} at {place}"
        for place, ranks in groups
    )
