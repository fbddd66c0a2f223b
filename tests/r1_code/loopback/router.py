"""What answers like `r1 serve router`, so that it can fail; and the real one in a thread."""

import contextlib
import socket
import threading
import time

from loopback.server import Answer, Loopback

CAPABILITIES = {"languages": ["python"], "isolation": "none", "max_cpu_seconds": 20.0}
RESULT = {"executions": [{"status": "ok", "stdout": "_wA="}], "isolation": "none"}


class RouterServer(Loopback):
    faulty = "POST /execute_batch"

    def __init__(self, health=None):
        self.health = health or {"status": "ok", "capabilities": CAPABILITIES}
        super().__init__()

    def answer(self, request):
        if request.path == "/health":
            return Answer(self.health)
        return Answer({"results": [RESULT for _ in request.json()["programs"]]})


@contextlib.contextmanager
def served(app):
    """The URL of an app that real uvicorn serves from a thread."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
