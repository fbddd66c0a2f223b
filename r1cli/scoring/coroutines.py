"""`async def` rewards: one event loop in a thread of its own, so many calls at once, each timed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait as wait_for

from r1cli.errors import PluginError
from r1cli.scoring.judge import Reply, Sample, columnar, ended, scored
from r1cli.scoring.reward import BoundReward

SPARE_SECONDS = 5.0


class Coroutines:
    """The shared loop. `concurrency` bounds the calls that are under way together."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._loop = asyncio.new_event_loop()
        self._free = asyncio.Semaphore(concurrency)
        self._thread = threading.Thread(target=self._run, name="r1-coroutines", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def start(
        self, reward: BoundReward, calls: Sequence[Sequence[Sample]], seconds: float
    ) -> Callable[[], list[Reply]]:
        """Begin the calls; what is returned waits for one reply per call.

        It raises PluginError when the reward keeps the loop from turning.
        """
        started = asyncio.run_coroutine_threadsafe(self._all(reward, calls, seconds), self._loop)

        def wait() -> list[Reply]:
            # Each call has its own clock, and may wait for those of other rewards and threads.
            while not wait_for([started], seconds + SPARE_SECONDS).done:
                if not self._turns():
                    started.cancel()
                    raise PluginError(
                        f"reward {reward.name!r} is `async def` but blocks its event loop; await "
                        "what it waits for, or write it as a plain function"
                    )
            return started.result()

        return wait

    def _turns(self) -> bool:
        """Whether the loop does anything that is new to it."""
        asked = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop)
        return bool(wait_for([asked], SPARE_SECONDS).done)

    async def _all(
        self, reward: BoundReward, calls: Sequence[Sequence[Sample]], seconds: float
    ) -> list[Reply]:
        return await asyncio.gather(*(self._one(reward, call, seconds) for call in calls))

    async def _one(self, reward: BoundReward, call: Sequence[Sample], seconds: float) -> Reply:
        async with self._free:
            started = time.perf_counter()
            try:
                outcomes = await asyncio.wait_for(reward.call_async(*columnar(call)), seconds)
            except TimeoutError:
                return Reply("failed", reason=f"timeout: no answer within {seconds:g} s")
            except Exception as error:
                return ended(error, time.perf_counter() - started)
            return scored(outcomes, time.perf_counter() - started)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SPARE_SECONDS)
