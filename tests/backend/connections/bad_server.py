"""One small TCP server that misbehaves as real ones do: silent, HTML, statuses, redirects, TLS."""

import datetime as dt
import ipaddress
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[[socket.socket, threading.Event], None]


def silent(_connection: socket.socket, ended: threading.Event) -> None:
    """Accept and never answer."""
    ended.wait(30)


def drip(connection: socket.socket, ended: threading.Event) -> None:
    """One byte at a time, for ever: each read succeeds, the answer never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
    while not ended.wait(0.05):
        connection.sendall(b" ")


def close(_connection: socket.socket, _ended: threading.Event) -> None:
    """Hang up at once."""


def answer(status: str, body: str = "", *headers: str, kind: str = "application/json") -> Behaviour:
    """One fixed HTTP answer to every request."""

    def behave(connection: socket.socket, _ended: threading.Event) -> None:
        connection.recv(65536)
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

    def __init__(self, certificate: Path | None = None) -> None:
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
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                        context.load_cert_chain(certificate)
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


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "self-signed.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
