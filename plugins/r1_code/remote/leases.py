"""What is rented must be given back, also when who rented it is cancelled, even while renting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

END_SECONDS = 20.0

T = TypeVar("T")

log = logging.getLogger(__name__)


class Leases(Generic[T]):
    """Things that `make` makes and `end` ends."""

    def __init__(
        self, make: Callable[[], Awaitable[T]], end: Callable[[T], Awaitable[object]]
    ) -> None:
        self._make, self._end = make, end
        self._held: dict[asyncio.Task[T], asyncio.Task[None] | None] = {}

    @asynccontextmanager
    async def one(self) -> AsyncIterator[T]:
        """A new thing, which is ended on the way out."""
        making = self.start()
        try:
            yield await asyncio.shield(making)
        finally:
            await self.finish(making)

    def start(self) -> asyncio.Task[T]:
        """Being made: await it shielded, and `finish` it whatever comes of that."""
        making = asyncio.create_task(_awaited(self._make()))
        self._held[making] = None
        return making

    async def finish(self, making: asyncio.Task[T]) -> None:
        """End it once it is made. Goes on though the caller is cancelled; a second call waits."""
        if making not in self._held:
            return
        ending = self._held[making]
        if ending is None:
            ending = self._held[making] = asyncio.create_task(self._ended(making))
        await asyncio.shield(ending)

    async def close(self) -> None:
        """End all that is held."""
        await asyncio.gather(*(self.finish(making) for making in [*self._held]))

    def __len__(self) -> int:
        return len(self._held)

    async def _ended(self, making: asyncio.Task[T]) -> None:
        try:
            async with asyncio.timeout(END_SECONDS):
                thing = await making
                await self._end(thing)
        except Exception as error:
            # Not made, or out of reach: what there may be ends by its own time limit.
            if making.done() and not making.cancelled() and making.exception() is None:
                log.warning("%s could not be ended: %s", making.result(), error)
        finally:
            del self._held[making]


async def _awaited(making: Awaitable[T]) -> T:
    return await making
