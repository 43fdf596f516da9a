"""Ports of the sandbox's servers: kept over restarts, so that earlier plans and links stay good."""

import random
import socket
from pathlib import Path
from urllib.parse import urlsplit

_FILE = "port"
#: Below those that systems give to outgoing connections, of which any may have a port of that range
#: while the sandbox is stopped, and keeps it for a minute after it has ended.
_RANGE = range(10_000, 15_000)
#: Those of this process's parts, which start side by side: a server listens a moment later only.
_given: set[int] = set()


def kept(folder: Path) -> int:
    """The port that the part in `folder` had the last time; a free one when it has none or it is
    taken."""
    try:
        port = int((folder / _FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free()
    return port if 1024 <= port <= 65535 and _free(port) else free()


def keep(folder: Path, server: str | int) -> None:
    """Remember the port of a server, given as a URL or as a number."""
    port = server if isinstance(server, int) else urlsplit(server).port
    (folder / _FILE).write_text(str(port), encoding="ascii")


def free() -> int:
    """A port that nobody has at the moment."""
    for port in random.sample(_RANGE, 100):
        if port not in _given and _free(port):
            _given.add(port)
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: what only lingers from the last start does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
