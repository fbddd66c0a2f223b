"""An HTTP server on a free port of 127.0.0.1 that can fail in every way a network knows."""

import contextlib
import json
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ["cut", "garbage", "empty", "hang up", "late", 429, 500, 502, 503]
"""Ways to fail once: half an answer, one that is no JSON, an empty one, none, one too late."""


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Answer:
    body: object = None  # bytes as they are, anything else as JSON
    status: int = 200
    headers: dict = field(default_factory=dict)


class Loopback:
    """Answers what `answer(request)` returns, after the `faults` that stand in line.

    Faults meet only requests whose "METHOD /path" contains `faulty`.
    """

    faulty = "POST"
    late_seconds = 1.5
    retry_after = "0"

    def __init__(self):
        self.requests, self.faults = [], deque()
        self.running = self.most_running = 0
        self._lock, self._connections, self._port = threading.Lock(), set(), 0
        self.start()

    def answer(self, request):
        raise NotImplementedError

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def start(self):
        loopback = self

        class Handler(_Handler):
            server_of = loopback

        # Not serve_forever's default of 0.5 s: every test starts and stops a few.
        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        serve = {"target": self._server.serve_forever, "args": (0.01,), "daemon": True}
        threading.Thread(**serve).start()
        return self

    def stop(self):
        """An outage: nobody listens, and who is connected is cut off."""
        self._server.shutdown()
        self._server.server_close()
        for connection in [*self._connections]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def count(self, what=""):
        """Requests whose "METHOD /path" contains `what`."""
        return sum(what in f"{r.method} {r.path}" for r in self.requests)

    def handle(self, request):
        with self._lock:
            self.requests.append(request)
            hit = self.faulty in f"{request.method} {request.path}"
            fault = self.faults.popleft() if hit and self.faults else None
            self.running += hit
            self.most_running = max(self.most_running, self.running)
        try:
            if isinstance(fault, int):
                return Answer(
                    {"message": f"fault {fault}"}, fault, {"Retry-After": self.retry_after}
                )
            if fault == "garbage":
                return Answer(b"<html>not what you think</html>")
            if fault == "empty":
                return Answer(b"")
            if fault == "hang up":
                return None
            if fault == "late":
                time.sleep(self.late_seconds)
            answer = self.answer(request)
            if fault == "cut":
                answer.headers["X-Cut"] = "yes"
            return answer
        finally:
            with self._lock:
                self.running -= hit


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that was cut off, or that left


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of = None

    def setup(self):
        super().setup()
        self.server_of._connections.add(self.connection)

    def finish(self):
        self.server_of._connections.discard(self.connection)
        super().finish()

    def log_message(self, *_):
        pass

    def handle_any(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(headers.get("content-length") or 0))
        answer = self.server_of.handle(Request(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
            return
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        data = b"" if answer.status == 204 else data
        cut = answer.headers.pop("X-Cut", "")
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = bool(cut)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = handle_any

    def _chunk(self):
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data
