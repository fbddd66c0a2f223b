"""What is asked of one Morph instance: again after a rate limit, in pieces where it is long.

exec has no stdin and no limits, and its command is one word of a shell, which Linux bounds to 128
KiB.
"""

from __future__ import annotations

import asyncio
import base64
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from r1_code.remote import vm_job

if TYPE_CHECKING:
    from morphcloud.api import Instance

TRIES = 4
FIRST_WAIT_SECONDS = 0.5
REQUEST_SECONDS = 60.0
PIECE_BYTES = 96 << 10
OVERRAN = {124: "its time", 137: "its memory or time"}  # exit codes of timeout and of SIGKILL

T = TypeVar("T")


async def run_job(instance: Instance, job: bytes, seconds: float) -> str:
    """Job and harness in, the report out."""
    folder = f"/tmp/r1-{uuid.uuid4().hex}"  # noqa: S108 - 128 random bits
    pieces = [job[at : at + PIECE_BYTES].decode() for at in range(0, len(job), PIECE_BYTES)]
    await patiently(lambda: instance.aexec(f"mkdir -m 700 -p {folder}", timeout=REQUEST_SECONDS))
    for number, piece in enumerate(pieces):
        # By its place, so that a piece which was sent twice is there once.
        line = f"printf %s {piece} > {folder}/job.{number:06}"
        done = await patiently(lambda line=line: instance.aexec(line, timeout=REQUEST_SECONDS))
        if done.exit_code != 0:
            raise RuntimeError(f"the job could not be sent: {done.stderr[-200:]}")
    harness = base64.b64encode(vm_job.HARNESS).decode()
    line = (
        f"cd {folder} && cat job.* > job && printf %s {harness} | base64 -d > harness.py && "
        f"timeout -k 5 {seconds:.0f} python3 -I harness.py job; "
        f"code=$?; rm -rf {folder}; exit $code"
    )
    done = await patiently(lambda: instance.aexec(line, timeout=seconds + REQUEST_SECONDS))
    if done.exit_code != 0:
        why = OVERRAN.get(done.exit_code)
        said = f"the harness overran {why}" if why else f"exit code {done.exit_code}"
        raise RuntimeError(f"{said}: {done.stderr[-200:]}")
    return done.stdout


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Again after a rate limit or a fault of the service, which the SDK does not do."""
    from morphcloud.api import ApiError

    for number in range(TRIES):
        try:
            return await call()
        except ApiError as error:
            passing = error.status_code == 429 or error.status_code >= 500
            if not passing or number == TRIES - 1:
                raise
        await asyncio.sleep(FIRST_WAIT_SECONDS * 2**number * random.uniform(0.5, 1.5))
    raise AssertionError
