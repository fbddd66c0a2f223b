"""Provider `e2b`: each program in a sandbox of its own, a small virtual machine at e2b.dev.

By the SDK's `Sandbox.create`, `files.write` and `commands.run`. Its `run_code` is not used: it has
no stdin, no limits and no compiled languages. Checked with e2b-code-interpreter 2.11.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from typing import TYPE_CHECKING, Any

from r1_code.remote import vm_job
from r1_code.remote.counts import at_least_one
from r1_code.remote.leases import Leases
from r1_code.remote.told import broken, cause
from r1cli import Capabilities, Program, ProgramResult, ProviderError, require

if TYPE_CHECKING:
    from e2b_code_interpreter import AsyncSandbox

FOLDER = "/tmp/r1"  # noqa: S108 - in a machine that nobody else is on
RETRIES = 5  # of 429 and 50x by the SDK, which heeds Retry-After
CREATE_SECONDS = 60.0


def e2b(
    *, sandboxes: int = 8, template: str = "code-interpreter-v1", lifetime_seconds: int = 3600
) -> E2b:
    """Runs programs in E2B sandboxes, of which at most `sandboxes` exist at a time.

    `template` decides which languages there are. A sandbox lives `lifetime_seconds` should nobody
    be left to end it; more than an hour needs a paid plan. The key is in E2B_API_KEY.
    """
    require("code", "e2b_code_interpreter")
    at_least_one("e2b", sandboxes=sandboxes, lifetime_seconds=lifetime_seconds)
    if not os.environ.get("E2B_API_KEY"):
        raise ProviderError(
            "code provider 'e2b' needs a key: set E2B_API_KEY, from https://e2b.dev/dashboard"
        )
    return E2b(sandboxes, template, lifetime_seconds)


class E2b:
    capabilities: Capabilities

    def __init__(self, sandboxes: int, template: str, lifetime_seconds: int) -> None:
        self._template, self._lifetime = template, lifetime_seconds
        self._room = asyncio.Semaphore(sandboxes)
        self.sandboxes: Leases[AsyncSandbox] = Leases(self._create, lambda one: one.kill())

    async def __aenter__(self) -> E2b:
        try:
            async with self.sandboxes.one() as sandbox:
                report = await _run(sandbox, vm_job.probe(), vm_job.SLACK_SECONDS)
            self.capabilities = vm_job.capabilities(report)
        except Exception as error:
            raise ProviderError(
                f"code provider 'e2b' cannot have a sandbox of template {self._template!r}: "
                f"{cause(error)}"
            ) from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.sandboxes.close()

    async def run(self, program: Program) -> ProgramResult:
        """Raises ProviderError where the key is not accepted."""
        from e2b import AuthenticationException

        try:
            async with self._room, self.sandboxes.one() as sandbox:
                report = await _run(sandbox, vm_job.pack(program), vm_job.seconds(program))
        except AuthenticationException as error:
            raise ProviderError(f"code provider 'e2b': {cause(error)}; see E2B_API_KEY") from error
        # The SDK lets through what its HTTP and RPC libraries raise: no list would be complete.
        except Exception as error:
            return broken("e2b", f"{type(error).__name__}: {error}")
        return vm_job.result(program, report, "e2b")

    async def _create(self) -> AsyncSandbox:
        from e2b_code_interpreter import AsyncSandbox

        return await AsyncSandbox.create(
            self._template,
            timeout=self._lifetime,
            metadata={"made_by": "r1"},
            allow_internet_access=False,
            request_timeout=CREATE_SECONDS,
            retries=RETRIES,
        )


async def _run(sandbox: AsyncSandbox, job: bytes, seconds: float) -> str:
    files: Any = sandbox.files
    await files.write(f"{FOLDER}/harness.py", vm_job.HARNESS, user="root")
    await files.write(f"{FOLDER}/job", job, user="root")
    command = shlex.join(["timeout", "-k", "5", f"{seconds:.0f}", "python3", "-I"])
    done = await sandbox.commands.run(
        f"{command} {FOLDER}/harness.py {FOLDER}/job",
        user="root",
        timeout=seconds + 10,
        # Nothing comes before the end, as it seems to a proxy; the stream is kept alive by pings.
        request_timeout=vm_job.SLACK_SECONDS,
    )
    return done.stdout
