"""E2B's control plane and its sandboxes' envd in one server, as e2b 2.63 talks to them.

A sandbox is a folder; its commands are run here, with the folder in place of /tmp/r1.
"""

import base64
import json
import shutil
import struct
import tempfile
import threading
import uuid
from email import message_from_bytes
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from loopback.process import run
from loopback.server import Answer, Loopback

INSIDE = "/tmp/r1"


class E2bServer(Loopback):
    """`faulty` chooses what fails: CREATE, WRITE, START or KILL; `created` and `killed` are ids."""

    CREATE, WRITE, START, KILL = "POST /v2/sandboxes", "POST /files", "POST /process", "DELETE"
    faulty = CREATE

    def __init__(self):
        self.sandboxes, self.created, self.killed = {}, [], []
        self.most_alive = 0
        self.path = ""  # of the machines, instead of ours
        self.key = "e2b_test"
        self.disk = tempfile.mkdtemp(prefix="loopback-e2b-")
        self.started = threading.Event()
        super().__init__()

    def __exit__(self, *exc):
        super().__exit__()
        shutil.rmtree(self.disk, ignore_errors=True)

    def answer(self, request):
        url = urlsplit(request.path)
        if url.path == "/health":
            return Answer(status=204)
        if url.path in ("/v2/sandboxes", "/sandboxes"):
            return self._create(request)
        if request.method == "DELETE":
            return self._kill(url.path.rpartition("/")[2])
        folder = self.sandboxes.get(request.headers.get("e2b-sandbox-id"))
        if folder is None:
            return Answer({"message": "The sandbox was not found", "code": 502}, 502)
        if url.path == "/files":
            return self._write(request, folder, parse_qs(url.query)["path"][0])
        if url.path == "/process.Process/Start":
            return self._start(request, folder)
        return Answer({"code": 404, "message": f"nothing at {url.path}"}, 404)

    def _create(self, request):
        if request.headers.get("x-api-key") != self.key:
            return Answer({"code": 401, "message": "invalid API key"}, 401)
        name = f"sbx{uuid.uuid4().hex[:8]}"
        self.sandboxes[name] = tempfile.mkdtemp(dir=self.disk)
        self.created.append(name)
        self.most_alive = max(self.most_alive, len(self.sandboxes))
        told = {"templateID": request.json()["templateID"], "sandboxID": name, "clientID": "c"}
        return Answer({**told, "envdVersion": "0.4.0", "envdAccessToken": "token"}, 201)

    def _kill(self, name):
        folder = self.sandboxes.pop(name, None)
        if folder is None:
            return Answer({"code": 404, "message": "not found"}, 404)
        self.killed.append(name)
        shutil.rmtree(folder, ignore_errors=True)
        return Answer(status=204)

    def _write(self, request, folder, path):
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        [part] = message_from_bytes(head + request.body).get_payload()
        place = Path(path.replace(INSIDE, folder))
        place.write_bytes(part.get_payload(decode=True))
        return Answer([{"name": place.name, "type": "file", "path": path}])

    def _start(self, request, folder):
        """A Connect server stream: envelopes of a flag, a length and a message; 2 ends it."""
        [size] = struct.unpack(">I", request.body[1:5])
        process = json.loads(request.body[5 : 5 + size])["process"]
        self.started.set()
        command = process["args"][-1].replace(INSIDE, folder)
        if self.path:
            command = f"PATH={self.path}; {command}"
        ended = run([process["cmd"], *process["args"][:-1], command], folder)
        events = [{"start": {"pid": 7}}]
        for name, text in (("stdout", ended.stdout), ("stderr", ended.stderr)):
            if text:
                events.append({"data": {name: base64.b64encode(text.encode()).decode()}})
        status = f"exit status {ended.code}"
        events.append({"end": {"exitCode": ended.code, "exited": True, "status": status}})
        stream = b"".join(_envelope(0, {"event": event}) for event in events)
        return Answer(stream + _envelope(2, {}), headers={"Content-Type": _type(request)})


def _envelope(flag, message):
    data = json.dumps(message).encode()
    return bytes([flag]) + struct.pack(">I", len(data)) + data


def _type(request):
    return request.headers["content-type"]
