"""Answers leave at once: no waiting for the other side's acknowledgement.

asyncio switches Nagle's algorithm off only for sockets whose protocol number says TCP, and the web
server binds its socket without that number. Every answer on a kept-open connection then waited
about 40 ms for the client's delayed acknowledgement. Connections inherit the option from the
listening socket, so it is set there, before the first visitor comes.
"""

import os
import socket
from collections.abc import Iterator


def send_at_once() -> int:
    """Set TCP_NODELAY on every TCP socket of this process that is not connected; how many."""
    changed = 0
    for listener in _own_sockets():
        tcp = listener.family in (socket.AF_INET, socket.AF_INET6)
        if not tcp or listener.type != socket.SOCK_STREAM or _connected(listener):
            continue
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        changed += 1
    return changed


def _own_sockets() -> Iterator[socket.socket]:
    """Each open socket of this process, borrowed: nothing is duplicated or closed.

    Closing any duplicate of a file drops every lock that the process holds on that file. On the
    state database, SQLite in another process would then take itself for the last user and delete
    the write-ahead log under this one.
    """
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return  # a system without /dev/fd keeps the 40 ms
    for number in numbers:
        try:
            borrowed = socket.socket(fileno=number)
        except OSError:
            continue  # a file or pipe, or the listing's own descriptor, closed by now
        try:
            yield borrowed
        finally:
            borrowed.detach()


def _connected(candidate: socket.socket) -> bool:
    try:
        candidate.getpeername()
    except OSError:
        return False
    return True


#: A peer that vanished without a word, as a database's host does at a failover, is noticed within
#: about a minute; the kernel by itself waits a quarter of an hour for an acknowledgement, and two
#: hours where nothing is sent. In libpq's words.
LIBPQ = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
#: The same as options of a socket, as far as the system has them.
_OPTIONS = {
    "TCP_KEEPIDLE": LIBPQ["keepalives_idle"],
    "TCP_KEEPINTVL": LIBPQ["keepalives_interval"],
    "TCP_KEEPCNT": LIBPQ["keepalives_count"],
    "TCP_USER_TIMEOUT": LIBPQ["tcp_user_timeout"],
}


def notice_loss(connected: socket.socket) -> None:
    """Set `LIBPQ` on a connected socket; nothing for one that is not TCP."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
