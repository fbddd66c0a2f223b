"""Morph Cloud's API, as morphcloud 0.1.116 talks to it.

Commands are run here, by bash, with names in a folder of ours for those that start with /tmp/r1-.
"""

import shutil
import tempfile
import threading
from urllib.parse import parse_qs, urlsplit

from loopback.process import run
from loopback.server import Answer, Loopback

INSIDE = "/tmp/r1-"


class MorphServer(Loopback):
    START, EXEC, STOP, SNAPSHOT = "POST /api/instance?", "/exec", "DELETE", "POST /api/snapshot"
    faulty = EXEC

    def __init__(self):
        self.snapshots, self.instances, self.started, self.stopped = {}, {}, [], []
        self.commands, self.most_alive = [], 0
        self.key = "morph_test"
        self.disk = tempfile.mkdtemp(prefix="loopback-morph-")
        self.said = None  # instead of what a command gives, for the next harness
        self.running_harness = threading.Event()
        super().__init__()

    def __exit__(self, *exc):
        super().__exit__()
        shutil.rmtree(self.disk, ignore_errors=True)

    def answer(self, request):
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return Answer({"detail": "invalid API key"}, 401)
        url = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = request.json() if request.body else {}
        match url.path.removeprefix("/api/").split("/"), request.method:
            case ["snapshot"], "POST":
                return Answer(self._snapshot(body.get("digest"), body["image_id"]))
            case ["snapshot"], "GET":
                found = [s for s in self.snapshots.values() if s["digest"] == query.get("digest")]
                return Answer({"object": "list", "data": found})
            case ["instance"], "POST":
                return Answer(self._start(query["snapshot_id"], body))
            case ["instance", name, *_], _ if name not in self.instances:
                return Answer({"detail": "Instance not found"}, 404)
            case ["instance", name], "DELETE":
                self.stopped.append(name)
                del self.instances[name]
                return Answer({})
            case ["instance", name], "GET":
                return Answer(self.instances[name])
            case ["instance", name, "snapshot"], "POST":
                return Answer(self._snapshot(query.get("digest"), "image"))
            case ["instance", name, "exec"], "POST":
                return Answer(self._exec(body["command"]))
        return Answer({"detail": f"nothing at {request.path}"}, 404)

    def _snapshot(self, digest, image):
        for known in self.snapshots.values():
            if digest and known["digest"] == digest:
                return known
        name = f"snapshot_{len(self.snapshots)}"
        spec = {"vcpus": 1, "memory": 512, "disk_size": 1024}
        about = {"object": "snapshot", "created": 1, "status": "ready", "spec": spec}
        refs = {"image_id": image}
        self.snapshots[name] = {"id": name, **about, "refs": refs, "digest": digest, "metadata": {}}
        return self.snapshots[name]

    def _start(self, snapshot, body):
        name = f"morphvm_{len(self.started)}"
        self.started.append((name, snapshot, body))
        self.instances[name] = {
            "id": name,
            "object": "instance",
            "created": 1,
            "status": "ready",  # else the SDK waits a second
            "spec": {"vcpus": 1, "memory": 512, "disk_size": 1024},
            "refs": {"snapshot_id": snapshot, "image_id": "image"},
            "networking": {"internal_ip": "127.0.0.1", "http_services": []},
            "metadata": body["metadata"],
        }
        self.most_alive = max(self.most_alive, len(self.instances))
        return self.instances[name]

    def _exec(self, command):
        [line] = command
        assert len(line) < 128 << 10, "longer than one argument may be"
        self.commands.append(line)
        if "harness.py" in line:
            self.running_harness.set()
            if self.said:
                return self.said
        ended = run(["bash", "-c", line.replace(INSIDE, f"{self.disk}/r1-")], "/")
        return {"exit_code": ended.code, "stdout": ended.stdout, "stderr": ended.stderr}
