"""Sent into a virtual machine and run there: compile once, run every input, tell how each ended.

The machine is what holds the program in; this only keeps it from spoiling its own result. Where it
is root, each program gets a user of its own, which can neither reach this process nor leave any of
its own behind. Python 3.8, the standard library and nothing of r1: no name here is known outside.

    python3 -I vm_harness.py JOB    prints base64(zlib(JSON)) as its last line
"""

import base64
import contextlib
import json
import os
import random
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

POLL_SECONDS = 0.01
PROCESSES = 256  # threads included: no limit that a program should meet, but the end of a fork bomb
READ_BYTES = 1 << 16


def main(path):
    job = json.loads(zlib.decompress(base64.b64decode(Path(path).read_bytes())))
    if "tools" in job:
        report = [tool for tool in job["tools"] if shutil.which(tool)]
    else:
        top = Path(tempfile.mkdtemp(prefix="r1-"))
        try:
            report = run(job, top, random.randrange(1 << 20, 1 << 30) if os.getuid() == 0 else 0)
        finally:
            subprocess.call(["rm", "-rf", top])
    print("\n" + base64.b64encode(zlib.compress(json.dumps(report).encode())).decode())


def run(job, top, user):
    top.chmod(0o711)  # to be passed through, not looked into
    endings, kept = [], top / "kept"
    kept.mkdir()
    put(kept, job["files"])
    compiled = None
    if job["compile"]:
        folder = fresh(top, kept, user)
        compiled = stage(job["compile"], folder, b"", job["compile_bounds"], job, user)
        if compiled["broken"] or compiled["exit_code"] != 0 or compiled["stopped"]:
            return {"compiled": compiled, "endings": []}
        kept = folder
        if user:
            subprocess.check_call(["chown", "-hR", "0:0", kept])
            kept.chmod(0o700)
    for given in job["inputs"]:
        folder = fresh(top, kept, user, given["files"])
        stdin = base64.b64decode(given["stdin"])
        endings.append(stage(job["run"], folder, stdin, job["bounds"], job, user))
        subprocess.call(["rm", "-rf", folder])
        ending = endings[-1]
        if job["stop_at_failure"] and (ending["exit_code"] != 0 or ending["stopped"]):
            break
    return {"compiled": compiled, "endings": endings}


def fresh(top, kept, user, files=None):
    """A folder with what is kept and `files`, which is the program's own."""
    folder = Path(tempfile.mkdtemp(dir=top))
    subprocess.check_call(["cp", "-R", "--preserve=mode", f"{kept}/.", folder])
    put(folder, files or {})
    folder.chmod(0o700)
    if user:
        subprocess.check_call(["chown", "-hR", f"{user}:{user}", folder])
    return folder


def put(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(base64.b64decode(data))


def stage(argv, folder, stdin, bounds, job, user):
    """One process to its end, and then all that it started."""
    began = time.monotonic()
    pipes = [os.pipe(), os.pipe(), os.pipe()]  # stdout, stderr, why nothing was started
    reads, writes = [read for read, _ in pipes], [write for _, write in pipes]
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        child = os.fork()
        if child == 0:
            become(argv, folder, given.fileno(), writes, bounds, job, user)
    for end in writes:
        os.close(end)
    texts, stopped, status, usage = watch(child, reads, bounds, began, user)
    most = bounds["output_bytes"]
    return {
        "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "stdout": base64.b64encode(bytes(texts[0][:most])).decode(),
        "stderr": base64.b64encode(bytes(texts[1][:most])).decode(),
        "truncated": len(texts[0]) > most or len(texts[1]) > most,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "wall_seconds": time.monotonic() - began,
        "peak_mb": usage.ru_maxrss / 1024,
        "stopped": stopped,
        "broken": bytes(texts[2]).decode(errors="replace"),
    }


def become(argv, folder, stdin, writes, bounds, job, user):
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(stdin, 0)
        os.dup2(writes[0], 1)
        os.dup2(writes[1], 2)
        os.set_inheritable(writes[2], False)
        os.closerange(3, writes[2])
        os.closerange(writes[2] + 1, 4096)
        megabyte, cpu = 1 << 20, int(bounds["cpu_seconds"]) + 1
        limit(resource.RLIMIT_CPU, cpu, cpu + 1)
        limit(resource.RLIMIT_DATA, bounds["data_mb"] * megabyte)
        limit(resource.RLIMIT_STACK, bounds["stack_mb"] * megabyte)
        limit(resource.RLIMIT_FSIZE, bounds["disk_mb"] * megabyte)
        limit(resource.RLIMIT_CORE, 0)
        if user:
            limit(resource.RLIMIT_NPROC, PROCESSES)
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(folder)}
        os.execvpe(argv[0], argv, {**environment, **job["environment"]})  # noqa: S606
    except BaseException as error:
        os.write(writes[2], f"{argv[0]}: {error}".encode())
    finally:
        os._exit(127)


def limit(what, soft, hard=None):
    most = resource.getrlimit(what)[1]
    values = [soft, soft if hard is None else hard]
    if most != resource.RLIM_INFINITY:
        values = [min(value, most) for value in values]
    resource.setrlimit(what, tuple(values))


def watch(child, reads, bounds, began, user):
    """What was written, what stopped it, and how it ended, though others may hold its pipes."""
    texts, stopped, ended = [bytearray() for _ in reads], "", None
    with selectors.DefaultSelector() as selector:
        for index, read in enumerate(reads):
            os.set_blocking(read, False)
            selector.register(read, selectors.EVENT_READ, index)
        while ended is None or drained(selector, texts, bounds):
            if ended is None:
                if selector.get_map():
                    selector.select(POLL_SECONDS)
                else:
                    time.sleep(POLL_SECONDS)
                drained(selector, texts, bounds)
                if not stopped and time.monotonic() - began > bounds["wall_seconds"]:
                    stopped = "wall"
                if not stopped and max(map(len, texts)) > bounds["output_bytes"]:
                    stopped = "output"
                if stopped:
                    kill(child, 0)
                pid, status, usage = os.wait4(child, os.WNOHANG)
                ended = (status, usage) if pid else None
        for read in [*selector.get_map()]:
            os.close(read)
    kill(child, user)
    return texts, stopped, *ended


def drained(selector, texts, bounds):
    """Read what is there; whether there was anything. Beyond the limit it is thrown away."""
    some = False
    for key, _ in selector.select(0):
        try:
            data = os.read(key.fd, READ_BYTES)
        except BlockingIOError:
            continue
        if data:
            room = bounds["output_bytes"] + 1 - len(texts[key.data])
            texts[key.data] += data[: max(0, room)]
            some = some or room > 0
        else:
            selector.unregister(key.fd)
            os.close(key.fd)
    return some


def kill(child, user):
    """The process group, and everything else of the program's own user."""
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    if user:
        killer = os.fork()
        if killer == 0:
            try:
                os.setuid(user)
                os.kill(-1, signal.SIGKILL)
            finally:
                os._exit(0)
        os.waitpid(killer, 0)


if __name__ == "__main__":
    main(sys.argv[1])
