"""The TLS side of a connection: where it is spoken, what the server shows, who is trusted.

A test looks at the certificates by itself, whatever the system's library does with them: also when
it refused them, which is when people want to see them.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy.engine import URL, make_url

from backend.connections.addresses import Endpoint
from backend.core import clock, resolving
from backend.core.errors import InvalidInput
from backend.core.trust import Trust
from backend.dms import brokers

WARN_AHEAD = timedelta(days=21)
UNVERIFIED = (
    "TLS certificates are not verified in this environment: whoever is between can pose as the "
    "server. Give the environment its authority's certificate and switch verification on."
)
_MYSQL_SSL = 0x0800
_MYSQL_CLIENT = 0x0001 | 0x0200 | _MYSQL_SSL | 0x8000  # long password, 4.1 protocol, secure login


@dataclass(frozen=True)
class Certificate:
    """names: what it is for. Times are aware UTC."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Seen:
    """What the server showed, its own certificate first. problem: why it is not trusted, or ""."""

    version: str
    chain: tuple[Certificate, ...]
    problem: str = ""

    @property
    def not_after(self) -> datetime:
        """When the first of them ends."""
        return min(item.not_after for item in self.chain)


def inspect(endpoint: Endpoint, trust: Trust, *, timeout: float = 3.0) -> Seen | None:
    """The certificates of a server, asked twice; None when it shows none (no TLS, nobody there).

    timeout: seconds for each step.
    """
    with contextlib.suppress(OSError, ValueError, EOFError):
        chain, version = _shown(endpoint, timeout)
        if chain:
            return Seen(version, chain, _problem(endpoint, trust, timeout))
    return None


def is_spoken(endpoint: Endpoint, *, timeout: float) -> bool:
    """Whether a server answers in TLS, whoever it may be; nothing is sent after the handshake."""
    try:
        with _connected(endpoint, Trust(verify=False), timeout):
            return True
    except (OSError, ValueError, EOFError) as exc:
        # It may refuse this client; its refusal is one in TLS.
        return isinstance(exc, ssl.SSLError) and "ALERT" in (exc.reason or "")


def document(seen: Seen | None) -> dict[str, Any] | None:
    """As it is kept and printed."""
    if seen is None:
        return None
    chain = [
        asdict(item)
        | {
            "names": list(item.names),
            "not_before": clock.iso(item.not_before),
            "not_after": clock.iso(item.not_after),
        }
        for item in seen.chain
    ]
    return {
        "version": seen.version,
        "trusted": not seen.problem,
        "problem": seen.problem,
        "not_after": clock.iso(seen.not_after),
        "chain": chain,
    }


def days_left(kept: Mapping[str, Any] | None) -> int | None:
    """Whole days until the first certificate of a kept document ends; negative when it has."""
    if not kept:
        return None
    return (datetime.fromisoformat(kept["not_after"]) - clock.now()).days


def expiring(kept: Mapping[str, Any] | None) -> str:
    """A sentence when a certificate ends within three weeks, else ""."""
    left = days_left(kept)
    if kept is None or left is None or left >= WARN_AHEAD.days:
        return ""
    until = datetime.fromisoformat(kept["not_after"])
    ending = next(item for item in kept["chain"] if item["not_after"] == kept["not_after"])
    verb = "expired" if left < 0 else f"expires in {left} days,"
    return f"The TLS certificate of {ending['subject']} {verb} on {until:%Y-%m-%d}."


def with_trust(url: str, trust: Trust) -> str:
    """A ledger's or broker's URL with the options by which its driver trusts as the environment
    does. Options that were typed stay; MySQL's `ssl_mode` is put into the driver's own words."""
    scheme = url.partition(":")[0].lower()
    if scheme in brokers.SCHEMES:
        own = {"ssl_ca_file": trust.bundle()} if trust.verify else {"ssl_verify": "off"}
        return brokers.with_options(url, own)
    if scheme.partition("+")[0] not in ("mysql", "mariadb", "postgresql"):
        return url
    parsed = make_url(url)
    given = {name: str(value) for name, value in parsed.query.items()}
    if parsed.get_backend_name() == "postgresql":
        return _url(parsed, _for_libpq(given, trust))
    return _url(parsed, _for_pymysql(given, trust))


def _url(parsed: URL, query: dict[str, str]) -> str:
    return parsed.set(query=query).render_as_string(hide_password=False)


def _for_libpq(query: dict[str, str], trust: Trust) -> dict[str, str]:
    if not query.get("sslmode", "").startswith("verify-"):
        return query
    if not trust.verify:
        return query | {"sslmode": "require"}
    return {"sslrootcert": trust.bundle()} | query


def _for_pymysql(query: dict[str, str], trust: Trust) -> dict[str, str]:
    """Without any option PyMySQL encrypts where the server can, and checks nothing."""
    mode = query.pop("ssl_mode", "")
    if mode == "disabled":
        return query | {"ssl_disabled": "true"}
    if mode in ("", "preferred") and not any(name.startswith("ssl_") for name in query):
        return query
    if not trust.verify or mode == "required":
        query.pop("ssl_ca", None)
        return query | {"ssl_check_hostname": "false"}  # demanded, and nothing checked
    names = "false" if mode == "verify_ca" else "true"
    return {"ssl_ca": trust.bundle(), "ssl_check_hostname": names} | query


def _shown(endpoint: Endpoint, timeout: float) -> tuple[tuple[Certificate, ...], str]:
    with _connected(endpoint, Trust(verify=False), timeout) as secured:
        return _chain(secured), secured.version() or ""


def _problem(endpoint: Endpoint, trust: Trust, timeout: float) -> str:
    """OpenSSL's word on the same server with the environment's trust."""
    try:
        with _connected(endpoint, Trust(trust.ca), timeout):
            return ""
    except ssl.SSLCertVerificationError as exc:
        return exc.verify_message or "it is not trusted"
    except (OSError, InvalidInput):
        return ""  # another reason, and that one the test has told


@contextlib.contextmanager
def _connected(endpoint: Endpoint, trust: Trust, timeout: float) -> Iterator[ssl.SSLSocket]:
    found = resolving.addresses_of(endpoint.host)
    target = (found[0] if found else endpoint.host, endpoint.port)
    with socket.create_connection(target, timeout) as plain:
        _STARTS[endpoint.speaks](plain)
        with trust.context().wrap_socket(plain, server_hostname=endpoint.host) as secured:
            yield secured


def _start_postgres(plain: socket.socket) -> None:
    plain.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
    if plain.recv(1) != b"S":
        raise EOFError("no TLS")


def _start_mysql(plain: socket.socket) -> None:
    """Read the greeting, and ask for TLS as the protocol does: half a login packet."""
    size = int.from_bytes(_exactly(plain, 4)[:3], "little")
    greeting = _exactly(plain, size)
    after_version = greeting.index(b"\0", 1) + 1 + 4 + 8 + 1
    if not int.from_bytes(greeting[after_version : after_version + 2], "little") & _MYSQL_SSL:
        raise EOFError("no TLS")
    body = _MYSQL_CLIENT.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x2d"
    plain.sendall(len(body + bytes(23)).to_bytes(3, "little") + b"\x01" + body + bytes(23))


def _exactly(plain: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = plain.recv(size - len(found))
        if not more:
            raise EOFError("hung up")
        found += more
    return found


_STARTS: Mapping[str, Callable[[socket.socket], None]] = {
    "tls": lambda _plain: None,
    "postgres": _start_postgres,
    "mysql": _start_mysql,
}


def _chain(secured: ssl.SSLSocket) -> tuple[Certificate, ...]:
    """Everything the server sent; Python has a public name for it from 3.13 on."""
    own: Any = secured
    if hasattr(own, "get_unverified_chain"):
        raw = [bytes(item) for item in own.get_unverified_chain()]
    else:
        der = 2  # _ssl.ENCODING_DER
        raw = [item.public_bytes(der) for item in own._sslobj.get_unverified_chain() or ()]
    return tuple(_read(x509.load_der_x509_certificate(item)) for item in raw)


def _read(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        subject=_called(certificate.subject),
        issuer=_called(certificate.issuer),
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc.astimezone(UTC),
        not_after=certificate.not_valid_after_utc.astimezone(UTC),
    )


def _called(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string() or "no name"


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    names = [*found.get_values_for_type(x509.DNSName)]
    names += [str(item) for item in found.get_values_for_type(x509.IPAddress)]
    return tuple(names[:50])
