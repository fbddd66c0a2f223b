"""Sandboxes in a process of any user: numbered tasks come pickled on stdin, results leave on
stdout.

python harness.py LEVEL
"""

import asyncio
import os
import pickle
import struct
import sys

from r1_code.sandbox.client import Sandboxes


async def main() -> None:
    answers, sys.stdout = os.fdopen(os.dup(1), "wb"), sys.stderr
    level = sys.argv[1]

    def tell(what: object) -> None:
        data = pickle.dumps(what)
        answers.write(struct.pack("<I", len(data)) + data)
        answers.flush()

    async with Sandboxes(workers=1, level=level, unsafe=level == "none") as sandboxes:
        tell(os.getpid())
        while head := await asyncio.to_thread(sys.stdin.buffer.read, 4):
            data = await asyncio.to_thread(sys.stdin.buffer.read, struct.unpack("<I", head)[0])
            number, tasks = pickle.loads(data)
            results = await asyncio.gather(*(sandboxes.run(task) for task in tasks))
            tell((number, results))


asyncio.run(main())
