"""A SandboxFusion server: POST /run_code and GET /v1/ping."""

import base64
import tempfile
from pathlib import Path

from loopback.process import compile_and_run
from loopback.server import Answer, Loopback


class SandboxFusionServer(Loopback):
    faulty = "POST /run_code"

    def __init__(self):
        self.said = {}  # instead of what a run gives
        super().__init__()

    def answer(self, request):
        if request.path == "/v1/ping":
            return Answer("pong")
        job = request.json()
        if job["memory_limit_MB"] > 4096:
            return Answer({"detail": "memory_limit_MB too large"}, 422)
        language = {"nodejs": "javascript"}.get(job["language"], job["language"])
        with tempfile.TemporaryDirectory() as folder:
            for name, data in job["files"].items():
                Path(folder, name).write_bytes(base64.b64decode(data))
            compiled, ran = compile_and_run(
                language, job["code"], folder, stdin=job["stdin"], seconds=job["run_timeout"]
            )
        well = ran and ran.code == 0
        answer = {
            "status": "Success" if well else "Failed",
            "message": "",
            "compile_result": _told(compiled),
            "run_result": _told(ran),
            "executor_pod_name": None,
            "files": {},
        }
        return Answer(answer | self.said)


def _told(ended):
    if ended is None:
        return None
    return {
        "status": "TimeLimitExceeded" if ended.late else "Finished",
        "execution_time": ended.seconds,
        "return_code": None if ended.late else ended.code,
        "stdout": ended.stdout,
        "stderr": ended.stderr,
    }
