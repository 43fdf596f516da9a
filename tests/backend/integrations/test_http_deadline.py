"""A server that drips its answer's head keeps nobody longer than the exchange may last."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.core.trust import Trust
from backend.integrations import http
from tests.fixtures.certificates import Authority

#: One byte each twentieth of a second: a minute and more, which nobody waits for here.
LINE = b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 1400 + b"\r\ncontent-length: 2\r\n\r\n{}"


class Dripping:
    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context, self._listener = context, socket.create_server(("127.0.0.1", 0))
        self.port, self.sent, self.stop = self._listener.getsockname()[1], 0, threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        made = self._context.wrap_socket(plain, server_side=True) if self._context else plain
        with made as line:
            line.recv(65536)
            try:
                for at in range(len(LINE)):
                    line.sendall(LINE[at : at + 1])
                    self.sent += 1
                    if self.stop.wait(0.05):
                        return
            except OSError:
                return  # the client has gone

    def close(self) -> None:
        self.stop.set()
        self._listener.close()


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Trust, Dripping]]:
    """Its address, whom to trust for it, and the server."""
    context, trust = None, Trust()
    if request.param == "https":
        authority = Authority()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue(tmp_path, "127.0.0.1"))
        trust = Trust(ca=authority.pem)
    made = Dripping(context)
    yield f"{request.param}://127.0.0.1:{made.port}/", trust, made
    made.close()


def test_the_head_of_an_answer_has_to_come_in_time(server: tuple[str, Trust, Dripping]) -> None:
    address, trust, dripping = server
    with http.client(address, timeout=30, trust=trust) as client:
        request = client.build_request("GET", address)
        with pytest.raises(httpx.ReadTimeout):
            http.send(client, request, until=time.monotonic() + 1, max_bytes=100)
    assert 0 < dripping.sent < len(LINE) // 2
