"""AWS's Runtime API on loopback, as far as a runtime client asks it: next, response, error."""

import json
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PREFIX = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Posted:
    """What a runtime said of a call: its response or its error. printed: the output until it was
    ready for the next one (Java's client prints the error that it has posted)."""

    request_id: str
    failed: bool
    printed: int


class RuntimeApi:
    """Hands out calls one by one. output: how many bytes the runtime has printed by now."""

    def __init__(self, output: Callable[[], int]) -> None:
        self.calls: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.ended: queue.Queue[Posted] = queue.Queue()
        self.posted: dict[str, bool] = {}
        self.asked = threading.Semaphore(0)
        self._output = output
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.calls.put(("", {}))  # a runtime that still waits for a call
        self._server.shutdown()
        self._server.server_close()

    def post(self, path: str) -> None:
        """Note what a runtime said of a call: `/…/invocation/<id>/response` or `error`."""
        _, _, request_id, word = path.removeprefix("/2018-06-01/").split("/")
        self.posted[request_id] = word == "error"

    def ask(self) -> None:
        """A runtime is ready for its next call, so those it spoke of are over."""
        for request_id in list(self.posted):
            self.ended.put(Posted(request_id, self.posted.pop(request_id), self._output()))
        self.asked.release()


def _handler(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            api.ask()
            request_id, event = api.calls.get()
            if not request_id:
                return self._answer(410, {}, b"")
            headers = {
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": "4102444800000",
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:1:function:f",
                "Content-Type": "application/json",
            }
            return self._answer(200, headers, json.dumps(event).encode())

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    self.rfile.read(size + 2)
                self.rfile.readline()
            else:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "/invocation/" in self.path:
                api.post(self.path)
            self._answer(202, {}, b'{"status":"OK"}')

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: the test's own output is what matters."""

    return Handler
