"""One small TCP server that misbehaves as real ones do: silent, HTML, statuses, redirects, TLS."""

import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

Behaviour = Callable[[socket.socket, threading.Event], None]
_METHOD = re.compile(rb"(GET|POST|PUT|PATCH|DELETE|HEAD) ")


def silent(_connection: socket.socket, ended: threading.Event) -> None:
    """Accept and never answer: only a deadline of the caller's ends this."""
    ended.wait()


def drip(connection: socket.socket, ended: threading.Event) -> None:
    """One byte at a time, for ever: each read succeeds, the answer never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
    while not ended.wait(0.05):
        connection.sendall(b" ")


def close(_connection: socket.socket, _ended: threading.Event) -> None:
    """Hang up at once."""


def read_request(connection: socket.socket) -> None:
    """All of an HTTP request: closing before it was read resets the connection instead.

    What is no HTTP (a TLS hello, another protocol's first words) is answered at once.
    """
    encrypted = isinstance(connection, ssl.SSLSocket)
    if not encrypted and not _METHOD.match(connection.recv(8, socket.MSG_PEEK)):
        connection.recv(65536)
        return
    with connection.makefile("rb") as lines:
        length = 0
        while (line := lines.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        lines.read(length)


def hang_up(connection: socket.socket, _ended: threading.Event) -> None:
    """Hear the question out, then hang up: an end, never a reset."""
    read_request(connection)


def alert(connection: socket.socket) -> None:
    """As a TLS server answers what is no TLS: with an alert, then the end."""
    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x28")
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def answer(status: str, body: str = "", *headers: str, kind: str = "application/json") -> Behaviour:
    """One fixed HTTP answer to every request."""

    def behave(connection: socket.socket, _ended: threading.Event) -> None:
        read_request(connection)
        head = [
            f"HTTP/1.1 {status}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body.encode())}",
            "Connection: close",
            *headers,
        ]
        connection.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())

    return behave


html = answer("200 OK", "<!doctype html><html><title>Sign in</title></html>", kind="text/html")


class BadServer:
    """Listens on loopback; counts connections; `behave` may be changed at any time."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.behave: Behaviour = silent
        self.connections = 0
        self._ended = threading.Event()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                try:
                    connection = self.request
                    if certificate is not None:
                        if connection.recv(1, socket.MSG_PEEK) != b"\x16":
                            alert(connection)
                            return
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                        context.load_cert_chain(*certificate)
                        connection = context.wrap_socket(connection, server_side=True)
                    outer.behave(connection, outer._ended)
                except OSError:
                    return  # the client has gone, which is what several tests want

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
