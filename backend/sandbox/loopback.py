"""A small HTTP server on 127.0.0.1 for stand-ins, with faults on demand."""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """path without the query; headers by lower-case name."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_response(status: int, document: Any, **headers: str) -> Response:
    return Response(status, json.dumps(document).encode(), headers=headers)


@dataclass
class Fault:
    """What goes wrong with the requests that match.

    holding: only requests whose body holds these bytes match, so that a PATCH can fail and the
    empty one that asks what the server does with If-Match is let through.
    after: matching requests let through first; times: how many fail then (None: all).
    drop: "before" closes the connection unanswered, "after" lets the server act first.
    Without status, body and drop only the latency (seconds) is added; it is over with the fault.
    """

    method: str | None = None
    path: str = ""
    holding: bytes = b""
    after: int = 0
    times: int | None = None
    latency: float = 0.0
    status: int | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    drop: str | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def takes(self, request: Request) -> bool:
        """Count the request; True when it is one that fails."""
        if self.method not in (None, request.method) or not re.search(self.path, request.path):
            return False
        if self.holding not in request.body:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class Faults:
    """The faults of one server, in the order added; the first that takes a request decides."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, **fault: Any) -> None:
        """See Fault. html=True is short for a proxy's 502 page unless status says otherwise."""
        if fault.pop("html", False):
            fault.setdefault("status", 502)
            fault["body"] = b"<html><body>502 Bad Gateway</body></html>"
            fault["content_type"] = "text/html"
        with self._lock:
            self._faults.append(Fault(**fault))

    def clear(self) -> None:
        with self._lock:
            for fault in self._faults:
                fault.over.set()
            self._faults.clear()

    def find(self, request: Request) -> Fault | None:
        with self._lock:
            return next((fault for fault in self._faults if fault.takes(request)), None)


class LoopbackServer:
    """Serves `answer(request)` in threads of this process until close().

    port 0 picks a free one. requests keeps method and path of everything asked (bounded).
    """

    def __init__(
        self, answer: Callable[[Request], Response], *, port: int = 0, latency: float = 0.0
    ) -> None:
        self.faults = Faults()
        self.latency = latency
        self.requests: list[tuple[str, str]] = []
        self._answer = answer
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name=f"standin-{self.port}",
            daemon=True,
        )
        self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Serve in the calling thread (a process of its own)."""
        self._server.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self.faults.clear()
        self._server.server_close()
        self._server.hang_up()

    def respond(self, request: Request) -> Response | None:
        """The answer, or None to drop the connection."""
        if len(self.requests) < 100_000:
            self.requests.append((request.method, request.path))
        if self.latency:
            time.sleep(self.latency)
        fault = self.faults.find(request)
        if fault is not None:
            if fault.latency:
                fault.over.wait(fault.latency)
            if fault.drop == "after":
                self._answer(request)
            if fault.drop:
                return None
            if fault.status is not None or fault.body is not None:
                return self._faulty(fault)
        return self._answer(request)

    @staticmethod
    def _faulty(fault: Fault) -> Response:
        status = fault.status or 200
        body = fault.body
        if body is None:
            body = json.dumps({"code": status, "message": f"injected {status}"}).encode()
        return Response(status, body, fault.content_type, fault.headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""

    def hang_up(self) -> None:
        """End the connections kept alive, so that a closed server answers nobody."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _handler(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {key.lower(): value for key, value in self.headers.items()},
                self.rfile.read(length) if length else b"",
            )
            response = server.respond(request)
            if response is None:
                self.close_connection = True
                return
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
            for key, value in response.headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)
            self.wfile.flush()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

        def log_message(self, format: str, *arguments: Any) -> None:
            """Requests are kept in `server.requests`, not printed."""

    return Handler
