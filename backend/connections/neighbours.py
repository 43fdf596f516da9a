"""Who really listens at an address where a test did not find its system.

A driver that meets another protocol says that nobody answered, or that the connection broke. The
first bytes tell more: MySQL and SSH speak first, PostgreSQL answers a request for TLS with one
letter, a broker answers strangers with its own header, TLS and HTTP answer their own questions.
Nothing of the connection's secrets is sent.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from backend.connections import guard, kinds, tls
from backend.connections.addresses import Endpoint
from backend.connections.schemas import ConnectionConfig
from backend.core import resolving
from backend.dms import brokers
from backend.integrations import network
from backend.integrations.network import Place

MYSQL, POSTGRES, AMQP = "MySQL or MariaDB", "PostgreSQL", "an AMQP broker"
HTTP, TLS, SSH = "a web server", "a server that speaks TLS", "SSH"
_POSTGRES_TLS = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
#: Seconds that a server which speaks first is given for it.
_GREETING = 0.3
_CHECK = "Check host and port."


def explain(config: ConnectionConfig, *, timeout: float) -> tuple[str, str] | None:
    """(cause, advice) when another system listens there; None when it is the right one, nobody,
    or unknown. timeout: seconds for all of it."""
    where = _asked(config)
    if where is None or timeout <= 0:
        return None
    at, wanted = where
    found = who(at.host, at.port, timeout=timeout)
    encrypted = wanted == TLS
    own = _PLAIN.get(config.kind, HTTP)  # at the plain port of the right system
    if not found or found == wanted or (encrypted and found == own):
        return None
    if found == TLS and config.kind in _SECURE_SCHEME:
        advice = f"Enter the address with {_SECURE_SCHEME[config.kind]}://."
        return f"{at.host} speaks TLS at that port", advice
    label = own if config.kind in ("postgres", "mysql", "ledger", "rabbitmq") else ""
    label = wanted if config.kind == "ledger" else label
    label = label or kinds.get_kind(config.kind).label
    return f"{found} answers at that port of {at.host}, not {label}", _CHECK


_PLAIN = {"postgres": POSTGRES, "mysql": MYSQL, "rabbitmq": AMQP}
_SECURE_SCHEME = {
    "rabbitmq": "amqps",
    **dict.fromkeys(("datahub", "openmetadata", "directory", "aws"), "https"),
}


def _asked(config: ConnectionConfig) -> tuple[Endpoint, str] | None:
    """Where the kind connects to, and what it expects there; None where no one address says it."""
    settings, kind = config.settings, config.kind
    if kind in ("postgres", "mysql"):
        host, port = settings["host"], int(settings["port"])
        return (Endpoint(host, port), _PLAIN[kind]) if not host.startswith("/") else None
    if kind == "ledger":
        url = make_url(settings["url"])
        wanted = POSTGRES if url.get_backend_name() == "postgresql" else MYSQL
        port = url.port or (5432 if wanted == POSTGRES else 3306)
        return (Endpoint(url.host, port), wanted) if url.host else None
    if kind == "rabbitmq":
        bare = brokers.rewrite(settings["url"], lambda place: place.rpartition("@")[2])
        first, *others = brokers.read(bare)
        wanted = TLS if first.tls else AMQP
        return None if others else (Endpoint(first.host, first.port), wanted)
    endpoint = kinds.get_kind(kind).endpoint(settings)
    if endpoint is not None:
        return endpoint, TLS
    for name, host in guard.hosts(kind, settings):
        parts = urlsplit(settings[name])
        if parts.scheme == "http" and not network.proxy_of(Place(host, settings[name])):
            return Endpoint(host, parts.port or 80), HTTP
    return None


def who(host: str, port: int, *, timeout: float) -> str:
    """One of the names above, "" when nobody answers or in no way that is known here."""
    until = time.monotonic() + timeout
    said = b""
    with contextlib.suppress(OSError), _connected(host, port, until) as plain:
        said = _heard(plain, until, _GREETING) or _answer(plain, _POSTGRES_TLS, until)
    if said[3:5] in (b"\x00\x0a", b"\x00\xff"):  # its greeting, or why it has none
        return MYSQL
    for start, name in ((b"SSH-", SSH), (b"AMQP", AMQP)):
        if said.startswith(start):
            return name
    if said in (b"S", b"N"):
        return POSTGRES
    # A web server may answer in clear that its port wants TLS: TLS is asked for first.
    if tls.is_spoken(Endpoint(host, port), timeout=max(0.05, until - time.monotonic())):
        return TLS
    if not said.startswith(b"HTTP/"):
        with contextlib.suppress(OSError), _connected(host, port, until) as plain:
            said = _answer(plain, b"GET / HTTP/1.0\r\n\r\n", until)
    return HTTP if said.startswith(b"HTTP/") else ""


@contextlib.contextmanager
def _connected(host: str, port: int, until: float) -> Iterator[socket.socket]:
    found = resolving.addresses_of(host)
    left = max(0.05, until - time.monotonic())
    with socket.create_connection((found[0] if found else host, port), left) as plain:
        yield plain


def _heard(plain: socket.socket, until: float, longest: float) -> bytes:
    plain.settimeout(max(0.05, min(longest, until - time.monotonic())))
    try:
        return plain.recv(64)
    except TimeoutError:
        return b""


def _answer(plain: socket.socket, question: bytes, until: float) -> bytes:
    plain.sendall(question)
    # A third of what is left: other questions may follow.
    return _heard(plain, until, (until - time.monotonic()) / 3)
