"""A start over TLS that broke: before it was sent nothing was started; after it, nobody knows."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.core.errors import OutcomeUnknown, UpstreamUnavailable
from backend.core.trust import Trust
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.gateway import Gateway
from tests.fixtures.certificates import self_signed

BROKEN_RECORD = b"\x17\x03\x03\x00\x20" + b"x" * 32
PLAIN = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"


class BreaksTls:
    """Takes one call over TLS and then writes past it, as a dying proxy does.

    read: whether it takes the request before. within: what it still says over TLS. then: raw bytes.
    """

    def __init__(self, certificate: tuple[Path, Path], *, read: bool, within: bytes, then: bytes):
        self.trust = Trust(ca=certificate[0].read_text())
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.socket.getsockname()[1]}"
        self.received = b""
        self._how = read, within, then
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)

    def serve(self) -> None:
        raw, _ = self.socket.accept()
        read, within, then = self._how
        with raw, contextlib.suppress(OSError):
            if read:
                self._talk(raw, within)
            raw.sendall(then)

    def _talk(self, raw: socket.socket, within: bytes) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(incoming, outgoing, server_side=True)

        def until_done(step: Callable[[], object]) -> object:
            while True:
                try:
                    done = step()
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(65536))
                    continue
                raw.sendall(outgoing.read())
                return done

        until_done(tls.do_handshake)
        while not self.received.endswith(b'{"hello": 1}'):
            received = until_done(lambda: tls.read(65536))
            assert isinstance(received, bytes)
            self.received += received
        if within:
            until_done(lambda: tls.write(within))


Breaking = Callable[..., BreaksTls]


@pytest.fixture
def breaking(tmp_path: Path) -> Iterator[Breaking]:
    threads = []

    def start(*, read: bool = True, within: bytes = b"", then: bytes = b"") -> BreaksTls:
        made = BreaksTls(self_signed(tmp_path, "127.0.0.1"), read=read, within=within, then=then)
        threads.append((made, threading.Thread(target=made.serve, daemon=True)))
        threads[-1][1].start()
        return made

    yield start
    for made, thread in threads:
        thread.join(60)
        made.socket.close()


def _gateway(server: BreaksTls) -> Gateway:
    there = AwsConfig("eu-west-1", server.url, "A", secret_access_key="s", trust=server.trust)
    return Gateway(there)


def _start(gateway: Gateway) -> object:
    return gateway.start_lambda("f", b'{"hello": 1}')


def _hold(gateway: Gateway) -> object:
    return gateway.call_lambda("f", b'{"hello": 1}', seconds=60)


@pytest.mark.parametrize("call", [_start, _hold])
@pytest.mark.parametrize("then", [BROKEN_RECORD, PLAIN, b""])
def test_tls_that_breaks_after_the_request_is_unknown(
    breaking: Breaking, call: Callable[[Gateway], object], then: bytes
) -> None:
    server = breaking(then=then)
    with pytest.raises(OutcomeUnknown, match="no readable answer came for the function f"):
        call(_gateway(server))
    assert b"/2015-03-31/functions/f/invocations" in server.received


def test_tls_that_breaks_in_the_midst_of_the_answer_is_unknown(breaking: Breaking) -> None:
    server = breaking(within=BEGUN, then=BROKEN_RECORD)
    with pytest.raises(OutcomeUnknown, match="the connection broke"):
        _hold(_gateway(server))


@pytest.mark.parametrize("call", [_start, _hold])
def test_a_handshake_that_fails_started_nothing(
    breaking: Breaking, call: Callable[[Gateway], object]
) -> None:
    server = breaking(read=False, then=PLAIN)
    with pytest.raises(UpstreamUnavailable, match=r"does not speak TLS.*Nothing was started"):
        call(_gateway(server))
