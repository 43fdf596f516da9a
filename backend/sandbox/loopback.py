"""A small HTTP server on 127.0.0.1 for stand-ins (Starlette on uvicorn), with faults on demand."""

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import anyio.to_thread
import uvicorn
from starlette.requests import Request as Asked
from starlette.responses import Response as Answer
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from backend.sandbox.faults import Call, Fault, Faults

log = logging.getLogger(__name__)
#: Calls carried out or held back at once; those of a fault may hang for minutes.
_AT_ONCE = 500
#: Until a connection kept alive is closed: longer than a test, or a client's pool would race it.
_KEEP_ALIVE_SECONDS = 3600
#: A call that still runs when the server is closed is left alone after it.
_STOP_SECONDS = 1


@dataclass(frozen=True)
class Request:
    """path: without the query, as sent (percent-encoded). headers: found in any case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, document: Any, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, json.dumps(document).encode(), headers=named)


def faulty(fault: Fault) -> Response:
    """What most servers answer on such a day; html is the page of the proxy in front of them."""
    if fault.html:
        page = b"<html><body>502 Bad Gateway</body></html>"
        return Response(fault.status or 502, page, "text/html", fault.headers)
    status = fault.status or 200
    body = fault.body
    if body is None:
        body = json.dumps({"code": status, "message": f"{fault.message} {status}"}).encode()
    return Response(status, body, fault.content_type, fault.headers)


class LoopbackServer:
    """Serves `answer(request)` in threads of this process until close().

    port: 0 picks a free one; raises OSError when it is taken. latency: seconds added to every
    call. failing: a fault's answer. tls: serve https with this context.
    requests keeps method and path of everything asked (bounded).
    """

    def __init__(
        self,
        answer: Callable[[Request], Response],
        *,
        port: int = 0,
        latency: float = 0.0,
        faults: Faults | None = None,
        failing: Callable[[Fault], Response] = faulty,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.latency = latency
        self.requests: list[tuple[str, str]] = []
        self._answer, self._failing = answer, failing
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        # Of every connection, as `backend.core.sockets` sets it for the portal's own.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = int(self._socket.getsockname()[1])
        self._server = _Server(self, tls)
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        scheme = "https" if self._server.config.ssl else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._thread = threading.Thread(
            target=self.serve_forever, name=f"standin-{self.port}", daemon=True
        )
        self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Serve in the calling thread (a process of its own)."""
        self._server.run(sockets=[self._socket])

    def close(self) -> None:
        """A closed server answers nobody, also not on connections kept alive."""
        self.faults.clear()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._socket.close()

    def respond(self, request: Request) -> tuple[Response | None, Fault | None]:
        """The answer, or None to drop the connection; and the fault that the request met."""
        if len(self.requests) < 100_000:
            self.requests.append((request.method, request.path))
        if self.latency:
            time.sleep(self.latency)
        fault = self.faults.take(Call(request.method, request.path, request.body))
        if fault is None:
            return self._answer(request), None
        if fault.latency:
            fault.over.wait(fault.latency)
        if fault.drop == "after":
            self._answer(request)
        if fault.drop:
            return None, fault
        if fault.answers:
            return self._failing(fault), fault
        return self._answer(request), fault


class _Server(uvicorn.Server):
    """uvicorn's, with a loopback server's calls as its application."""

    def __init__(self, serving: LoopbackServer, tls: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            self._application,
            interface="asgi3",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        config.load()
        config.ssl = tls
        super().__init__(config)
        self._serving = serving
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked(scope, receive)
        path, query = scope["raw_path"].decode("latin-1"), dict(asked.query_params)
        request = Request(asked.method, path, query, asked.headers, await asked.body())
        try:
            answer, fault = await anyio.to_thread.run_sync(
                self._serving.respond, request, limiter=self._limiter, abandon_on_cancel=True
            )
        except Exception:
            log.exception("stand-in: %s %s failed", request.method, request.path)
            answer, fault = json_response(500, {"message": "INTERNAL SERVER ERROR"}), None
        if answer is None:
            await self._cut(scope, receive)
            return
        headers = {"Content-Type": answer.content_type, **answer.headers}
        response: Answer = Answer(answer.body, answer.status, headers)
        if fault is not None and fault.drip:
            length = {"Content-Length": str(len(answer.body))}
            drops = _drip(answer.body, fault.over)
            response = StreamingResponse(drops, answer.status, {**headers, **length})
        await response(scope, receive, send)

    async def _cut(self, scope: Scope, receive: Receive) -> None:
        """End the connection without a word, for which ASGI has no message."""
        for connection in self.server_state.connections:
            if connection.transport.get_extra_info("peername") == scope["client"]:
                connection.transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


async def _drip(body: bytes, over: threading.Event) -> AsyncIterator[bytes]:
    """One byte every 0.2 s: no wait for a packet is long, yet the answer never comes."""
    for position in range(len(body)):
        yield body[position : position + 1]
        await anyio.sleep(0.2)
        if over.is_set():
            raise ConnectionAbortedError
