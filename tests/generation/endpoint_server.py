"""An OpenAI-compatible server in a process of its own, to be killed: `python ... PORT SECONDS`.

Answers a prompt and a seed with both; what holds "odd" is refused.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send({"data": [{"id": "m", "owned_by": "test"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(SECONDS)
        text = body["messages"][-1]["content"]
        if "odd" in text:
            self.send({"error": {"message": "this prompt is odd"}}, 400)
            return
        message = {"role": "assistant", "content": f"{text} {body.get('seed')}"}
        usage = {"prompt_tokens": 5, "completion_tokens": 7}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.send({"choices": [choice], "usage": usage})

    def send(self, answer: Any, status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever(0.05)
