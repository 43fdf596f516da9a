"""What servers and proxies do to a connection between and within the pages."""

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from backend.core.errors import CredentialsRefused, UpstreamUnavailable
from backend.integrations.directory import exchange
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import BrokenAnswer
from backend.integrations.directory.source import Options

QUERY = "query($limit: Int, $offset: Int) { users(limit: $limit, offset: $offset) { email } }"
PEOPLE = [{"email": f"person{number}@example.org"} for number in range(50)]
Answer = Callable[["Request"], bytes | None]


class Request:
    """number: of all requests; nth: of those on its connection. Both begin with 1."""

    def __init__(self, number: int, nth: int, body: bytes) -> None:
        self.number, self.nth = number, nth
        asked = json.loads(body)["variables"] if body.startswith(b"{") else {"offset": 0}
        begin = asked["offset"]
        people = PEOPLE[begin : begin + asked.get("limit", 10)]
        self.answer = json.dumps({"data": {"users": people}}).encode()


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "cOnTeNt-TyPe: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class RawServer:
    """Says byte for byte what it is told to; None closes the connection without an answer."""

    def __init__(self, answer: Answer, host: str) -> None:
        self._answer, self.asked = answer, 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            nth = 0
            while stream.readline():
                length = 0
                while (line := stream.readline().lower()) not in (b"\r\n", b""):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                self.asked, nth = self.asked + 1, nth + 1
                said = self._answer(Request(self.asked, nth, stream.read(length)))
                if said is None:
                    return
                connection.sendall(said)
                if not said.startswith(b"HTTP/1.1"):
                    return


Ask = Callable[..., list[object]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """ask(answer) → the people that such a server's directory has."""
    monkeypatch.setattr(exchange, "pause", lambda _: None)
    servers: list[RawServer] = []

    def people(answer: Answer, host: str = "127.0.0.1") -> list[object]:
        servers.append(RawServer(answer, host.strip("[]")))
        options = Options(query=QUERY, paging="offset", page_size=10)
        url = f"http://{host}:{servers[-1].port}/graphql"
        return DirectoryClient(url, options=options, timeout=10).users()

    yield people
    for server in servers:
        server.close()


def test_a_kept_connection_that_the_server_closes_is_made_anew(ask: Ask) -> None:
    # It is closed when the next page has been asked for: nothing tells the client before.
    assert len(ask(lambda asked: None if asked.nth == 2 else whole(asked.answer))) == 50


def test_a_server_that_never_answers_is_given_up(ask: Ask) -> None:
    asked: list[int] = []

    def answer(request: Request) -> None:
        asked.append(request.number)

    with pytest.raises(UpstreamUnavailable, match="without sending a response"):
        ask(answer)
    assert len(asked) == 3


@pytest.mark.parametrize("way", ["br", "zstd", "gzip, br"])
def test_a_compression_that_nobody_asked_for_is_named(ask: Ask, way: str) -> None:
    body = b"\x1b\x03\x00\xf8 not text"
    if way.startswith("gzip"):
        body = gzip.compress(body)
    with pytest.raises(BrokenAnswer, match=rf"compressed as {way[-4:].strip(', ')}, which was not"):
        ask(lambda _: whole(body, f"Content-Encoding: {way}"))


def test_what_it_refuses_counts_whatever_the_refusal_is_packed_in(ask: Ask) -> None:
    with pytest.raises(CredentialsRefused):
        ask(lambda _: whole(b"\x1b", "Content-Encoding: br", status="401 Unauthorized"))
    with pytest.raises(CredentialsRefused):
        ask(lambda _: whole(b'{"errors', status="401 Unauthorized"))


@pytest.mark.parametrize(
    "answer",
    [
        lambda asked: b"HTTP/1.0 200 OK\r\n\r\n" + asked.answer[:-20],
        lambda asked: whole(gzip.compress(asked.answer)[:-30], "Content-Encoding: gzip"),
    ],
    ids=["HTTP/1.0", "gzip"],
)
def test_an_answer_that_is_cut_off_where_nothing_says_so_is_no_other_address(
    ask: Ask, answer: Answer
) -> None:
    with pytest.raises(BrokenAnswer, match="it may be cut off"):
        ask(answer)


def _chunked(asked: Request) -> bytes:
    parts = b"".join(
        b"%x\r\n%s\r\n" % (1, asked.answer[i : i + 1]) for i in range(len(asked.answer))
    )
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    return head + parts + b"0\r\nX-Sum: 1\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        _chunked,
        lambda asked: b"HTTP/1.0 200 OK\r\ncontent-TYPE: application/json\r\n\r\n" + asked.answer,
        lambda asked: b"HTTP/1.1 103 Early Hints\r\n\r\n" + whole(asked.answer),
    ],
    ids=["chunks and a trailer", "HTTP/1.0", "early hints"],
)
def test_odd_and_right_answers_are_read(ask: Ask, answer: Answer) -> None:
    assert len(ask(answer)) == 50


def test_a_host_that_has_ipv6_only(ask: Ask) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert len(ask(lambda asked: whole(asked.answer), "[::1]")) == 50
