"""The stand-in's HTTP server: sockets, authentication, faults, routing by surface."""

import contextlib
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from backend.sandbox.datahub.faults import Fault, Faults
from backend.sandbox.datahub.http import Grant, Request, Response, as_html, as_json

log = logging.getLogger(__name__)
Handler = Callable[[Request], Response]

PROXY_PREFIX = "/api/gms"
_NOBODY = Grant("urn:li:corpuser:UNKNOWN", False, False, False, False)
_LARGEST_BODY = 32 * 1024 * 1024
_UNAUTHORIZED = (
    "<html><head><title>Error 401 Unauthorized</title></head><body><h2>HTTP ERROR 401</h2>"
    "<p>Unauthorized to perform this action.</p></body></html>"
)
_FRONTEND = (
    "<!doctype html><html lang='en'><head><title>DataHub</title></head>"
    "<body><div id='root'></div></body></html>"
)


class Server(ThreadingHTTPServer):
    """Loopback only. Threads are daemons, so that a hanging request keeps nothing alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(
        self,
        port: int,
        *,
        public: dict[str, Handler],
        protected: dict[str, Handler],
        tokens: dict[str, Grant],
        faults: Faults,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """public, protected: first path segment → handler; protected ones need a token."""
        super().__init__(("127.0.0.1", port), _Connection)
        self.public = public
        self.protected = protected
        self.tokens = tokens
        self.faults = faults
        self.tls = tls
        if tls is not None:
            # The handshake happens in the connection's thread, at its first read.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread: threading.Thread | None = None
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), name="datahub-standin", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self.shutdown()
            self._thread.join(timeout=5)
        self.server_close()
        # A stopped server answers nobody, also not on connections kept alive.
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (inherited)
        # Clients that hang up are daily life here; anything else is worth a line.
        log.debug("datahub stand-in: connection ended", exc_info=True)

    def answer(self, request: Request, token: str | None) -> Response:
        """Route by the first path segment, after the token was checked."""
        first = request.path.strip("/").split("/")[0]
        if first in self.public:
            return self.public[first](request)
        handler = self.protected.get(first)
        if handler is None:
            return as_html(_FRONTEND)  # DataHub's web interface answers every path so
        grant = self.tokens.get(token or "")
        if grant is None:
            return as_html(_UNAUTHORIZED, 401)
        return handler(
            Request(
                request.method, request.path, request.query, request.headers, request.body, grant
            )
        )


class _Connection(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one segment at once; otherwise each call costs a delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("datahub stand-in: " + format, *args)

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        path = urlsplit(self.path).path
        fault = self.server.faults.take(self.command, path)
        if fault is not None and not fault.after and self._suffer(fault):
            return
        response = self._response(path, body)
        if fault is not None and fault.after and self._suffer(fault):
            return
        self._send(response, drip=fault is not None and fault.drip)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def _body(self) -> bytes | None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY:
            self._send(as_json({"error": "Payload too large"}, 413))
            return None
        return self.rfile.read(length)

    def _response(self, path: str, body: bytes) -> Response:
        if path.startswith(PROXY_PREFIX + "/"):
            if self.command == "PATCH":
                return as_json({"error": f"No route for PATCH {path}"}, 404)
            path = path.removeprefix(PROXY_PREFIX)
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        request = Request(self.command, path, query, dict(self.headers), body, _NOBODY)
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        try:
            return self.server.answer(request, token if scheme == "Bearer" else None)
        except Exception:
            log.exception("datahub stand-in: %s %s failed", self.command, path)
            return as_json({"status": 500, "message": "INTERNAL SERVER ERROR"}, 500)

    def _suffer(self, fault: Fault) -> bool:
        """Whether the request ends here."""
        released = self.server.faults.released
        if fault.latency:
            released.wait(fault.latency)
        if fault.hang:
            released.wait(120)
        if fault.hang or fault.drop:
            self.close_connection = True
            return True
        if fault.redirect is not None:
            self._send(Response(302, headers={"Location": fault.redirect}))
            return True
        if fault.html:
            self._send(as_html(_FRONTEND))
            return True
        if fault.status is not None:
            self._send(_failure(fault.status))
            return True
        return False

    def _send(self, response: Response, *, drip: bool = False) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if drip:
            self._drip(response.body)
        else:
            self.wfile.write(response.body)

    def _drip(self, body: bytes) -> None:
        """One byte every 0.2 s: no wait for a packet is long, yet the answer never comes."""
        for position in range(len(body)):
            self.wfile.write(body[position : position + 1])
            self.wfile.flush()
            if self.server.faults.released.wait(0.2):
                self.close_connection = True
                return


def _failure(status: int) -> Response:
    if status == 401:
        return as_html(_UNAUTHORIZED, 401)
    body = {"status": status, "message": "INTERNAL SERVER ERROR" if status == 500 else "refused"}
    return Response(status, json.dumps(body).encode())
