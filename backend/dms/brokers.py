"""Where the brokers are: every address of one setting, in the order in which they are tried.

One setting may name several, as OpenStack's services are configured: `amqp://user:secret@a,b:5673/`
(a host without a user takes the one before it), or whole addresses with commas between them.
`rabbit://` is OpenStack's word for amqp://; amqps:// or `?ssl=1` mean TLS.
"""

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

if TYPE_CHECKING:
    import pika

SCHEMES = ("amqp", "amqps", "rabbit")
HEARTBEAT = 30
BLOCKED_TIMEOUT = 30.0
TLS_FILES = ("ssl_ca_file", "ssl_cert_file", "ssl_key_file")
#: What an address may carry after its question mark; `ssl` switches TLS on as amqps:// does, and
#: `ssl_verify=off` takes any certificate.
OPTIONS = frozenset(
    {"heartbeat", "blocked_connection_timeout", "channel_max", "frame_max", "ssl", *TLS_FILES}
    | {"ssl_verify"}
)
#: Of the same drivers, and without a meaning here: brokers are tried again by our own clock.
_IGNORED = frozenset({"connection_attempts", "retry_delay"})
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Broker:
    """One address. options: of OPTIONS, as text."""

    host: str
    port: int
    vhost: str
    tls: bool
    user: str
    password: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Without user and password, safe to show."""
        path = "" if self.vhost == "/" else self.vhost
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'amqps' if self.tls else 'amqp'}://{host}:{self.port}/{path}"

    def parameters(self, *, timeout: float) -> "pika.ConnectionParameters":
        """For pika, with deadlines on the socket, the handshake and a blocked broker.

        Raises ValueError with the rest of a sentence for a TLS file that cannot be used.
        """
        import pika

        more = {name: int(self.options[name]) for name in _SIZES if name in self.options}
        return pika.ConnectionParameters(
            host=self.host,
            port=self.port,
            virtual_host=self.vhost,
            credentials=pika.PlainCredentials(self.user, self.password),
            heartbeat=int(self.options.get("heartbeat", HEARTBEAT)),
            blocked_connection_timeout=float(
                self.options.get("blocked_connection_timeout", BLOCKED_TIMEOUT)
            ),
            socket_timeout=timeout,
            stack_timeout=timeout,
            ssl_options=pika.SSLOptions(self._context(), self.host) if self.tls else None,
            client_properties={"connection_name": "dms-client"},
            **more,
        )

    def _context(self) -> ssl.SSLContext:
        """The server's certificate and name are checked, unless the address says otherwise."""
        ca, cert, key = (os.path.expanduser(self.options.get(name, "")) for name in TLS_FILES)
        try:
            context = ssl.create_default_context(cafile=ca or None)
            if cert:
                context.load_cert_chain(cert, key or None)
        except (OSError, ssl.SSLError) as exc:
            files = ", ".join(filter(None, (ca, cert, key)))
            raise ValueError(f"it names TLS files that cannot be used ({files}: {exc})") from exc
        if self.options.get("ssl_verify") == "off":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


class NoPassword(ValueError):
    """An address names a user and no password."""


_SIZES = ("channel_max", "frame_max")


def read(text: str, tls: Mapping[str, str] | None = None) -> tuple[Broker, ...]:
    """Every broker that `text` names. tls: files for addresses that name none (of TLS_FILES).

    Raises ValueError with the rest of a sentence: "it must start with amqp://".
    """
    found: list[Broker] = []
    for url in _urls(text):
        scheme, places, tail = _split(url)
        options = _options(tail, scheme == "amqps", tls or {})
        who = ""
        for place in places.split(","):
            given, at, _ = place.rpartition("@")
            who = given if at else who
            place = place if at or not who else f"{who}@{place}"
            found.append(_broker(place, tail, options))
    return tuple(found)


def rewrite(text: str, change: Callable[[str], str]) -> str:
    """`text` with each of its places (`user:secret@host:port`) as `change` makes it."""
    made = []
    for url in _urls(text):
        scheme, places, tail = _split(url)
        made.append(f"{scheme}://{','.join(change(place) for place in places.split(','))}{tail}")
    return ",".join(made)


def with_options(text: str, more: Mapping[str, str]) -> str:
    """`text` with further options on each address that speaks TLS and does not name them."""
    made = []
    for url in _urls(text):
        scheme, places, tail = _split(url)
        own = _options(tail, scheme == "amqps", {})
        new = {name: value for name, value in more.items() if own["ssl"] and not own.get(name)}
        joint = "&" if "?" in tail else "?"
        made.append(f"{scheme}://{places}{tail}{joint if new else ''}{urlencode(new)}")
    return ",".join(made)


def _urls(text: str) -> list[str]:
    return re.split(r"\s*,\s*(?=[A-Za-z]+://)", text.strip())


def _split(url: str) -> tuple[str, str, str]:
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in SCHEMES:
        raise ValueError("it must start with amqp://, amqps:// or rabbit://")
    places = re.match(r"[^/?#]*", rest)
    assert places is not None  # noqa: S101 - the pattern matches every text
    return scheme.lower(), places[0], rest[places.end() :]


def _options(tail: str, secure: bool, tls: Mapping[str, str]) -> dict[str, str]:
    given = dict(parse_qsl(urlsplit(f"amqp://h{tail}").query, keep_blank_values=True))
    unknown = sorted(set(given) - OPTIONS - _IGNORED)
    if unknown:
        raise ValueError(f"it may not carry {', '.join(unknown)}")
    for name in set(given) & {"heartbeat", "blocked_connection_timeout", *_SIZES}:
        if not given[name].isdigit():
            raise ValueError(f"it says {name}={given[name]}, which is no number")
    files = {name: value for name, value in tls.items() if value}
    on = secure or given.get("ssl", "").lower() in _TRUE
    if not on and any(given.get(name) for name in TLS_FILES):
        raise ValueError("it names TLS files without TLS: write amqps://, or add ssl=1")
    return {**files, **given, "ssl": "1" if on else ""}


def _port(parts: SplitResult, place: str) -> int | None:
    try:
        return parts.port
    except ValueError:
        if "@" in place or place.rpartition(":")[2].isdigit():
            raise
        # What stands there may be a part of a password with a comma in it.
        raise ValueError("it has a host whose port is no number") from None


def _broker(place: str, tail: str, options: Mapping[str, str]) -> Broker:
    parts = urlsplit(f"amqp://{place}{tail}")
    port = _port(parts, place)
    if parts.username and parts.password is None:
        raise NoPassword(f"it names the user {parts.username} and no password is stored")
    tls = bool(options["ssl"])
    return Broker(
        host=parts.hostname or "localhost",
        port=port or (5671 if tls else 5672),
        vhost=unquote(parts.path[1:]) or "/",
        tls=tls,
        user=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest") if parts.username else "guest",
        options=options,
    )
