"""The network's own reasons, the same words for every vendor: DNS, TLS, refused, proxy, time.

Underneath what an SDK raises is often an error of the operating system, of TLS or of a web proxy,
and a person mends each in another place. They are told apart by type and number along the chain of
causes; `explain` answers None where none is found, and the vendor's own table speaks.
"""

import errno
import ipaddress
import os
import re
import socket
import ssl
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from backend.core.errors import (
    InvalidInput,
    NothingListens,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)

#: OpenSSL's verification results (x509_vfy.h) that have an advice of their own.
_EXPIRED, _NOT_YET_VALID, _HOSTNAME, _IP_ADDRESS = 10, 9, 62, 64
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
#: OpenSSL's reasons for an answer that is not TLS at all.
_NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"}
    | {"RECORD_LAYER_FAILURE"}
)
_CLIENT_CERTIFICATE = frozenset(
    {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"}
    | {"SSLV3_ALERT_HANDSHAKE_FAILURE"}
)
_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
#: A TLS record's first bytes (handshake or alert, version 3.x), as HTTP clients quote them.
_TLS_BYTES = re.compile(r"\\x1[56]\\x03|[\x15\x16]\x03")
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


@dataclass(frozen=True)
class Place:
    """Where a call went. host: for messages and advice. url: "" when it is no web address."""

    host: str
    url: str = ""

    @classmethod
    def of(cls, address: str) -> "Place":
        """The place of a web address or of a bare host name."""
        if "://" not in address:
            return cls(address)
        scheme = urlsplit(address).scheme
        return cls(urlsplit(address).hostname or "", address if scheme in ("http", "https") else "")


def explain(exc: BaseException, system: str, place: Place) -> UpstreamError | None:
    """The error to raise for what the network did; None when it did nothing that is known here."""
    links = list(chain(exc))
    for reader in (_proxy, _name, _certificate, _handshake, _plain_to_tls, _refused, _no_route):
        for link in links:
            said = reader(link, place)
            if said:
                kind = NothingListens if reader is _refused else UpstreamUnavailable
                return kind(system, *said)
    if any(_timed_out(link) for link in links):
        return UpstreamTimeout(
            system,
            f"{place.host} did not answer in time",
            "Check host, port and the firewall between; the server may be overloaded.",
        )
    if any(isinstance(link, ConnectionResetError | BrokenPipeError) for link in links):
        return UpstreamUnavailable(
            system,
            f"{place.host} closed the connection without an answer",
            "Check the port, and whether it wants TLS; the server's log has its reason.",
        )
    return None


def chain(exc: BaseException) -> Iterator[BaseException]:
    """The error and all that it came from, wrapped ones included; at most 50."""
    todo: list[object] = [exc]
    seen: set[int] = set()
    while todo and len(seen) < 50:
        link = todo.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        todo += [link.__cause__, link.__context__]
        # requests, urllib3 and pymysql keep the inner error as an attribute.
        todo += [getattr(link, name, None) for name in ("reason", "original_exception")]
        todo.append(getattr(link, "kwargs", {}).get("error"))  # botocore's
        todo += [*link.args]


def while_connecting(exc: BaseException) -> bool:
    """Whether TLS failed before a request could be sent, not while its answer was awaited: both
    are one SSLError of urllib3's, and only where it was raised tells them apart."""
    return any(
        frame.name == "connect"
        for link in chain(exc)
        if isinstance(link, ssl.SSLError)
        for frame in traceback.extract_tb(link.__traceback__)
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def proxy_of(place: Place) -> str:
    """The web proxy that the environment names for this address, without its password; "" if none.

    Adapters ask loopback addresses directly.
    """
    if not place.url or is_loopback(place.host) or proxy_bypass(place.host):
        return ""
    return _host_of(getproxies().get(urlsplit(place.url).scheme) or getproxies().get("all", ""))


def _host_of(named: str) -> str:
    parts = urlsplit(named if "://" in named else f"//{named}")
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""


def database_port(kind: str, text: str) -> int:
    """The number of a connection's port. Raises InvalidInput."""
    try:
        port = int(text)
    except ValueError as exc:
        raise InvalidInput(f"The {kind} connection's port '{text}' is not a number.") from exc
    if not 0 < port < 65536:
        raise InvalidInput(f"The {kind} connection's port {port} is not between 1 and 65535.")
    return port


def in_container() -> bool:
    """Whether this process runs in a container, where localhost is the container itself."""
    kubernetes = "KUBERNETES_SERVICE_HOST" in os.environ  # containerd leaves no file
    return kubernetes or any(Path(mark).exists() for mark in _CONTAINER_MARKS)


def where_it_runs(place: Place, advice: str) -> str:
    """The advice where nothing listens: what is meant by localhost may be elsewhere."""
    if is_loopback(place.host) and in_container():
        return (
            "Inside a container localhost is the container itself: enter the name of the other "
            "container or machine."
        )
    return advice


def _proxy(link: BaseException, place: Place) -> tuple[str, str] | None:
    """A web proxy that is dead or refuses: by the libraries' own classes, or because whatever
    refused was asked in the system's place."""
    # botocore does not say which address it asked, but which proxy.
    named = proxy_of(place) or _host_of(getattr(link, "kwargs", {}).get("proxy_url") or "")
    own = type(link).__name__ in ("ProxyError", "ProxyConnectionError")
    if not own and not (named and isinstance(link, ConnectionRefusedError | socket.gaierror)):
        return None
    return (
        f"the web proxy {named or 'of this machine'} cannot be used for {place.host}",
        "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the portal.",
    )


def _name(link: BaseException, place: Place) -> tuple[str, str] | None:
    resolving = isinstance(link, socket.gaierror) or type(link).__name__ == "NameResolutionError"
    if not resolving:
        return None
    if getattr(link, "errno", None) == socket.EAI_AGAIN:
        return (
            f"the host name {place.host} could not be looked up: DNS did not answer",
            "Check the name, and the DNS server of the portal's machine; try again.",
        )
    return (
        f"the host name {place.host} is not known (DNS)",
        "Check the spelling, and that the portal's machine can resolve the name.",
    )


def _certificate(link: BaseException, place: Place) -> tuple[str, str] | None:
    if not isinstance(link, ssl.SSLCertVerificationError):
        return None
    code = getattr(link, "verify_code", 0)
    why = getattr(link, "verify_message", "") or "verification failed"
    advice = "Look at the certificate that the server sends."
    if code in _UNKNOWN_ISSUER:
        advice = (
            "Add the issuer's certificate to those that the environment or the portal's machine "
            "trusts."
        )
    elif code in (_HOSTNAME, _IP_ADDRESS):
        advice = "Enter the name that the certificate was made for."
    elif code in (_EXPIRED, _NOT_YET_VALID):
        advice = "Have it renewed, and check the clock of the portal's machine."
    return f"the TLS certificate of {place.host} is not trusted ({why})", advice


def _handshake(link: BaseException, place: Place) -> tuple[str, str] | None:
    if not isinstance(link, ssl.SSLError):
        return None
    reason = getattr(link, "reason", "") or ""
    if isinstance(link, ssl.SSLEOFError) or reason == "UNEXPECTED_EOF_WHILE_READING":
        return (
            f"{place.host} closed the TLS connection without an answer",
            "Check that it speaks TLS at that port; the server's log has its reason.",
        )
    if reason in _NOT_TLS:
        return (
            f"{place.host} does not speak TLS at that port",
            "A plain port needs the plain scheme (http, amqp); else use the TLS port.",
        )
    if reason in _CLIENT_CERTIFICATE:
        return (
            f"{place.host} ended the TLS handshake: it asks for a client certificate or another "
            f"TLS version ({reason})",
            "Ask its administrator; the portal has no client certificates.",
        )
    return f"the TLS handshake with {place.host} failed ({reason or 'no reason given'})", (
        "Check the port, and the TLS settings of the server."
    )


def _plain_to_tls(link: BaseException, place: Place) -> tuple[str, str] | None:
    """An HTTP client was answered with a TLS alert; h11 has other words for it."""
    if str(link) == "illegal request line" and place.url.startswith("http://"):
        return (
            f"{place.host} does not answer in HTTP at that port; it may speak TLS",
            "Enter the address with https://, or another port.",
        )
    if not place.url.startswith("http://") or not _TLS_BYTES.search(str(link)):
        return None
    return f"{place.host} speaks TLS at that port", "Enter the address with https://."


def _refused(link: BaseException, place: Place) -> tuple[str, str] | None:
    if not isinstance(link, ConnectionRefusedError):
        return None
    advice = where_it_runs(place, "Check host and port, and that the server runs.")
    return f"nothing listens at that port of {place.host} (connection refused)", advice


def _no_route(link: BaseException, place: Place) -> tuple[str, str] | None:
    if not isinstance(link, OSError) or link.errno not in _NO_ROUTE:
        return None
    return (
        f"there is no way to {place.host} from the portal's machine",
        "Check the address, and the network and firewall between.",
    )


def _timed_out(link: BaseException) -> bool:
    return isinstance(link, TimeoutError) or type(link).__name__ in (
        *("ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"),
        *("ConnectTimeoutError", "ReadTimeoutError"),
    )
