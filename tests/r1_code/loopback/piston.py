"""A Piston server of either generation, as measured on the real API 3.1.1 and on the older one."""

import base64
import signal
import tempfile
from pathlib import Path

from loopback.process import compile_and_run
from loopback.server import Answer, Loopback

RUNTIMES = [
    {"language": "python", "version": "3.12.0", "aliases": ["py", "py3", "python3"]},
    {"language": "c++", "version": "10.2.0", "aliases": ["cpp", "g++"], "runtime": "gcc"},
    {"language": "javascript", "version": "20.11.1", "aliases": ["js", "node-js"]},
]
LONGEST_MS = 60_000


class PistonServer(Loopback):
    faulty = "POST /api/v2/execute"

    def __init__(self, generation="new"):
        self.generation = generation
        self.stage = None  # instead of what a run gives
        super().__init__()

    def answer(self, request):
        if request.path == "/api/v2/runtimes":
            return Answer(RUNTIMES)
        if request.headers.get("content-type") != "application/json":
            return Answer({"message": "requests must be of type application/json"}, 415)
        job = request.json()
        if job["run_timeout"] > LONGEST_MS:
            said = f"run_timeout cannot exceed the configured limit of {LONGEST_MS}"
            return Answer({"message": said}, 400)
        known = {name: one for one in RUNTIMES for name in (one["language"], *one["aliases"])}
        if job["language"] not in known:
            return Answer({"message": f"{job['language']}-* runtime is unknown"}, 400)
        language = known[job["language"]]["language"].replace("c++", "cpp")
        source, *files = job["files"]
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                Path(folder, file["name"]).write_bytes(base64.b64decode(file["content"]))
            compiled, ran = compile_and_run(
                language,
                source["content"],
                folder,
                name=source["name"],
                stdin=job["stdin"] + "\n",
                args=job["args"],
                seconds=job["run_timeout"] / 1000,
            )
        answer = {"language": job["language"], "version": "1.0.0"}
        if compiled:
            answer["compile"] = self._told(compiled)
        answer["run"] = self._told(ran or compiled)
        if self.stage:
            answer["run"] |= self.stage
        return Answer(answer)

    def _told(self, ended):
        killed = ended.code < 0
        told = {
            "stdout": ended.stdout,
            "stderr": ended.stderr,
            "output": ended.stdout + ended.stderr,
            "code": None if killed else ended.code,
            "signal": signal.Signals(-ended.code).name if killed else None,
        }
        if self.generation == "old":
            return told
        status = "TO" if ended.late else "SG" if killed else "RE" if ended.code else None
        message = "Time limit exceeded (wall clock)" if ended.late else None
        spent = {"cpu_time": 12, "wall_time": round(1000 * ended.seconds), "memory": 9 << 20}
        return {**told, "status": status, "message": message, **spent}
