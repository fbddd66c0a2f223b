"""Provider `morph`: programs in virtual machines of Morph Cloud, one at a time in each.

By the SDK's snapshots, instances and exec; what open-r1 imports, `morphcloud.sandbox`, is gone.
Checked with morphcloud 0.1.116.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from typing import TYPE_CHECKING

from r1_code.remote import vm_job
from r1_code.remote.counts import at_least_one
from r1_code.remote.leases import Leases
from r1_code.remote.morph_instance import REQUEST_SECONDS, patiently, run_job
from r1_code.remote.told import broken, cause
from r1cli import Capabilities, Program, ProgramResult, ProviderError, one_line, require

if TYPE_CHECKING:
    from morphcloud.api import Instance, MorphCloudClient, Snapshot

READY_SECONDS = 120.0
SETUP_SECONDS = 900.0


def morph(
    *,
    instances: int = 4,
    image: str = "morphvm-minimal",
    setup: str = "",
    vcpus: int = 1,
    memory_mb: int = 2048,
    disk_mb: int = 8192,
    lifetime_seconds: int = 3600,
) -> Morph:
    """Runs programs on Morph instances: at most `instances`, started as they are needed.

    They start from a snapshot of `image` in which the shell commands `setup` were run; it is kept
    and found again by a digest of all that decides it. `setup` is where compilers come from:
    "apt-get update && apt-get install -y g++". An instance lives `lifetime_seconds` should nobody
    be left to stop it, and is not used in the second half of that. The key is in MORPH_API_KEY.
    """
    require("code", "morphcloud")
    at_least_one("morph", instances=instances, lifetime_seconds=lifetime_seconds)
    if not os.environ.get("MORPH_API_KEY"):
        raise ProviderError(
            "code provider 'morph' needs a key: set MORPH_API_KEY, from "
            "https://cloud.morph.so/web/keys"
        )
    shape = {"image_id": image, "vcpus": vcpus, "memory": memory_mb, "disk_size": disk_mb}
    return Morph(shape, setup, instances, lifetime_seconds)


class Morph:
    capabilities: Capabilities

    def __init__(
        self, shape: dict[str, object], setup: str, instances: int, lifetime_seconds: int
    ) -> None:
        self._shape, self._setup, self._lifetime = shape, setup, lifetime_seconds
        self._room = asyncio.Semaphore(instances)
        self._idle: list[tuple[asyncio.Task[Instance], float]] = []
        self.instances: Leases[Instance] = Leases(self._start, _stop)

    async def __aenter__(self) -> Morph:
        from morphcloud.api import MorphCloudClient

        # It reads the certificates for each of its 64 transports, which takes seconds.
        self._client: MorphCloudClient = await asyncio.to_thread(MorphCloudClient)
        try:
            self._snapshot = await self._find_snapshot()
            report = await self._exec(vm_job.probe(), vm_job.SLACK_SECONDS)
            self.capabilities = vm_job.capabilities(report)
        except Exception as error:
            await self.__aexit__()
            raise ProviderError(f"code provider 'morph' has no instance: {cause(error)}") from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._idle.clear()
        await self.instances.close()
        await self._client._async_http_client.aclose()  # the SDK has no way to close a client
        self._client._http_client.close()

    async def run(self, program: Program) -> ProgramResult:
        """Raises ProviderError where the key is not accepted."""
        from morphcloud.api import ApiError

        try:
            report = await self._exec(vm_job.pack(program), vm_job.seconds(program))
        except ApiError as error:
            if error.status_code in (401, 403):
                said = f"code provider 'morph': {cause(error)}; see MORPH_API_KEY"
                raise ProviderError(said) from error
            return broken("morph", cause(error))
        # The SDK lets through what its HTTP library and its models raise.
        except Exception as error:
            return broken("morph", cause(error))
        return vm_job.result(program, report, "morph")

    # -- instances ---------------------------------------------------------------------------------

    async def _exec(self, job: bytes, seconds: float) -> str:
        """What the harness prints, on an idle instance or a new one. One that fails is stopped."""
        async with self._room:
            making, born = await self._take()
            sound = False
            try:
                instance = await asyncio.shield(making)
                report = await run_job(instance, job, seconds)
                sound = True
            finally:
                if sound:
                    self._idle.append((making, born))
                else:
                    await self.instances.finish(making)
        return report

    async def _take(self) -> tuple[asyncio.Task[Instance], float]:
        while self._idle:
            making, born = self._idle.pop()
            if time.monotonic() - born < self._lifetime / 2:
                return making, born
            await self.instances.finish(making)
        return self.instances.start(), time.monotonic()

    async def _start(self) -> Instance:
        return await self._start_from(self._snapshot)

    async def _start_from(self, snapshot: Snapshot) -> Instance:
        async def start() -> Instance:
            return await self._client.instances.astart(
                snapshot.id,
                metadata={"made_by": "r1"},
                ttl_seconds=self._lifetime,
                ttl_action="stop",
                timeout=REQUEST_SECONDS,
            )

        instance = await patiently(start)
        try:
            await instance.await_until_ready(timeout=READY_SECONDS)
        except BaseException:
            await _stop(instance)
            raise
        return instance

    async def _find_snapshot(self) -> Snapshot:
        """The one with our digest; else made, with `setup` run in it once."""
        snapshots = self._client.snapshots
        plain = await patiently(
            lambda: snapshots.acreate(**self._shape, digest=self._digest(""))  # finds it as well
        )
        if not self._setup:
            return plain
        digest = self._digest(self._setup)
        if found := await patiently(lambda: snapshots.alist(digest=digest)):
            return found[0]
        instance = await self._start_from(plain)
        try:
            done = await instance.aexec(self._setup, timeout=SETUP_SECONDS)
            if done.exit_code != 0:
                tail = one_line(done.stderr[-300:])
                raise RuntimeError(f"setup ended with exit code {done.exit_code}: {tail}")
            snapshot = await instance.asnapshot(digest=digest)
            await snapshot.await_until_ready()
            return snapshot
        finally:
            await _stop(instance)

    def _digest(self, setup: str) -> str:
        text = repr((sorted(self._shape.items()), setup))
        return f"r1-code-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


async def _stop(instance: Instance) -> None:
    await patiently(instance.astop)
