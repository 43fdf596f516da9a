"""The client's own deadline for every answer of a PostgreSQL server.

`statement_timeout` is kept by the server, and keepalives are answered by its kernel: a server
process that stands still (stopped, swapped out, its storage hanging) keeps neither, and libpq
waits for ever. So each call on the connection is watched, and when no answer has come in time
its socket is shut down. libpq then reports a broken connection, and the server rolls the open
transaction back as soon as it moves again.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

import psycopg2
from psycopg2.extensions import connection as _Connection
from psycopg2.extensions import cursor as _Cursor

from backend.core import stopping

#: Seconds that the server may at most be late with keeping its own time limit.
GRACE = 30.0


def patience_for(statement_timeout: float) -> float:
    """Seconds to wait for an answer: the server's own limit, and once more for a short one."""
    return statement_timeout + min(GRACE, statement_timeout)


class NoAnswer(psycopg2.OperationalError):
    """The server gave no answer before the client's deadline; the connection was given up."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:.0f} seconds")
        self.seconds = seconds


class BrokenAtOnce(psycopg2.OperationalError):
    """Log-in was accepted, and the first statement of a transaction got no answer."""


class WatchedConnection(_Connection):
    """A connection on which no call waits longer than `patience` seconds. Raises NoAnswer."""

    #: Seconds; None (while connecting, where libpq has its own limit) waits without end.
    patience: float | None = None

    def commit(self) -> None:
        with self.watched():
            super().commit()

    def rollback(self) -> None:
        with self.watched():
            super().rollback()

    def cancel_now(self) -> None:
        """Ask the server to end the statement under way; for another thread."""
        with contextlib.suppress(psycopg2.Error):  # it has ended, or its time limit ends it
            self.cancel()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Give the connection up when the body takes longer than it may."""
        if self.patience is None:
            yield
            return
        gave_up = threading.Event()
        # An own descriptor: it stays that of this connection while the watch lasts.
        with socket.socket(fileno=os.dup(self.fileno())) as line:
            watch = threading.Timer(self.patience, _give_up, (line, gave_up))
            watch.daemon = True
            watch.start()
            try:
                yield
            except psycopg2.Error as exc:
                _explain(exc, gave_up, self.patience)
            finally:
                watch.cancel()
                watch.join()


class WatchedCursor(_Cursor):
    """Its statements are watched."""

    def execute(self, query: Any, vars: Any = None) -> None:
        # mypy: the connection class of this module made the cursor
        connection: WatchedConnection = self.connection  # type: ignore[assignment]
        with stopping.cancellable(connection.cancel_now), connection.watched():
            super().execute(query, vars)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        # mypy: the connection class of this module made the cursor
        with self.connection.watched():  # type: ignore[attr-defined]
            super().copy_expert(sql, file, size)


def _give_up(line: socket.socket, gave_up: threading.Event) -> None:
    gave_up.set()
    with contextlib.suppress(OSError):  # the server was faster and has closed it
        line.shutdown(socket.SHUT_RDWR)


def _explain(exc: psycopg2.Error, gave_up: threading.Event, seconds: float) -> NoReturn:
    if gave_up.is_set():
        raise NoAnswer(seconds) from exc
    raise exc
