"""Servers that are wrong in their own protocol, and a wire that can be frozen or slowed down."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from tests.backend.connections import bad_server as bad
from tests.backend.connections.bad_server import Behaviour
from tests.fixtures import processes


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    return processes.free_port()  # below the outgoing ones, so that nobody comes to use it


# -- refusals in the protocols' own words ----------------------------------------------------------


def postgres_error(code: str, message: str) -> Behaviour:
    """PostgreSQL's FATAL during start-up."""

    def behave(connection: socket.socket, _ended: threading.Event) -> None:
        asked = connection.recv(65536)
        if asked[4:8] == struct.pack("!I", 80877103):  # asks for TLS first
            connection.sendall(b"N")
            connection.recv(65536)
        fields = b"".join(
            kind + text.encode() + b"\0"
            for kind, text in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", code), (b"M", message))
        )
        connection.sendall(b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0")

    return behave


def mysql_error(number: int, message: str) -> Behaviour:
    """MySQL's error packet in place of its greeting."""

    def behave(connection: socket.socket, _ended: threading.Event) -> None:
        body = b"\xff" + struct.pack("<H", number) + b"#08004" + message.encode()
        connection.sendall(struct.pack("<I", len(body))[:3] + b"\0" + body)
        connection.recv(1024)

    return behave


def amqp_close(code: int, message: str) -> Behaviour:
    """An AMQP broker that greets, takes the login and closes the connection with a reason."""

    def behave(connection: socket.socket, _ended: threading.Event) -> None:
        from pika import frame, spec

        def send(method: object) -> None:
            connection.sendall(frame.Method(0, method).marshal())  # type: ignore[no-untyped-call]

        connection.recv(8)
        send(
            spec.Connection.Start(  # type: ignore[no-untyped-call]
                0, 9, {"capabilities": {"authentication_failure_close": True}}, "PLAIN", "en_US"
            )
        )
        connection.recv(65536)
        send(spec.Connection.Close(code, message, 0, 0))  # type: ignore[no-untyped-call]
        connection.recv(65536)

    return behave


def half_a_greeting(connection: socket.socket, _ended: threading.Event) -> None:
    """Read something, say one byte, hang up."""
    connection.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        connection.recv(65536)
    connection.sendall(b"\x01")


def byte_by_byte(connection: socket.socket, ended: threading.Event) -> None:
    """Never silent and never finished: bytes that every protocol takes for a beginning."""
    greeting = b"\x49\x00\x00\x00\x0a8.0.36\x00"
    for number in range(600):
        connection.sendall(greeting[number % len(greeting) :][:1] if number < 12 else b"N")
        if ended.wait(0.1):
            return


#: Kind of connection → fault → what its server does.
RAW: dict[str, dict[str, Behaviour]] = {
    "postgres": {
        "401": postgres_error("28P01", 'password authentication failed for user "u"'),
        "500": postgres_error("53300", "sorry, too many clients already"),
    },
    "ledger": {
        "401": mysql_error(1045, "Access denied for user 'u'@'localhost' (using password: YES)"),
        "500": mysql_error(1040, "Too many connections"),
    },
    "rabbitmq": {
        "401": amqp_close(403, "ACCESS_REFUSED - Login was refused using PLAIN"),
        "500": amqp_close(541, "INTERNAL_ERROR"),
    },
}
for _behaviours in RAW.values():
    _behaviours.update(
        hanging=bad.silent, slow=byte_by_byte, garbage=bad.html, dies=half_a_greeting
    )


# -- a wire in between -----------------------------------------------------------------------------


_Look = Callable[[bytes], bool]


class Wire:
    """Forwards TCP to a real server. `behave` replaces the server for new connections.

    delay: seconds before each chunk of the server's answers. cut(): end every open connection.
    commits: what becomes of the next COMMITs of a database, one after the other: "through";
    "unanswered": the server carries it out and its connection ends instead of an answer;
    "undelivered": the connection ends before the server has it. then_refuse: after the last of
    them nothing listens here.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.behave: Behaviour | None = None
        self.delay = 0.0
        self.commits: list[str] = []
        self.then_refuse = False
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.refuse()
        self._threads[0].join(60)  # nobody is let in any more; whoever is in can be cut
        self.cut()
        for thread in self._threads:
            thread.join(60)
        for connection in self._open:
            connection.close()

    def refuse(self) -> None:
        """Close the port: from now on nothing listens here."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            if self.behave is not None:
                self._start(self._misbehave, client, self.behave)
                continue
            server = socket.create_connection(self._target)
            self._open.append(server)
            silenced = threading.Event()
            self._start(self._forward, client, server, self._committing(silenced))
            self._start(self._forward, server, client, self._answering(silenced))

    def _misbehave(self, client: socket.socket, behave: Behaviour) -> None:
        with contextlib.suppress(OSError), client:
            behave(client, self._ended)

    def _committing(self, silenced: threading.Event) -> _Look:
        """What a client's chunk does here; False ends the connection."""

        def look(chunk: bytes) -> bool:
            # PostgreSQL's simple query, and MySQL's COM_QUERY.
            if not chunk.endswith((b"COMMIT\0", b"\x03COMMIT")) or not self.commits:
                return True
            what = self.commits.pop(0)
            if self.then_refuse and not self.commits:
                self.refuse()
            if what == "unanswered":
                silenced.set()
            return what != "undelivered"

        return look

    def _answering(self, silenced: threading.Event) -> _Look:
        def look(_chunk: bytes) -> bool:
            if self.delay:
                time.sleep(self.delay)
            return not silenced.is_set()

        return look

    def _forward(self, source: socket.socket, sink: socket.socket, look: _Look) -> None:
        with contextlib.suppress(OSError):
            while (chunk := source.recv(65536)) and look(chunk):
                sink.sendall(chunk)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
