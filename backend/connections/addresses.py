"""Every address that people type and a driver parses again, parsed once, as the driver does it.

An `Address` says which hosts the driver will use (for the guard) and where a secret is sent (for
its binding). Options of a URL are an allow-list per driver: an option that names another host, a
file or a service is refused here, since a driver takes it before what the URL's front says.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, urlsplit

from backend.dms import brokers

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_HOST = re.compile(r"^\w([\w.-]*\w)?\.?$")
_IP6 = re.compile(r"^[0-9A-Fa-f:.]+(%\w+)?$")
_JDBC = re.compile(r"^jdbc:(?:databricks|spark)://([^:/;]+)(?::(\d+))?(?:/[^;]*)?((?:;.*)?)$")


@dataclass(frozen=True)
class Endpoint:
    """Where TLS is spoken, and what is said in clear before it."""

    host: str
    port: int
    speaks: Literal["tls", "postgres", "mysql"] = "tls"


@dataclass(frozen=True)
class Address:
    """text: to store. hosts: each host the driver connects to. sent_to: whom a secret reaches;
    while it stays the same, other parts (user, database, timeouts) may change. tls: None where
    none is spoken."""

    text: str
    hosts: tuple[str, ...] = ()
    sent_to: str = ""
    tls: Endpoint | None = None


#: Returns the address; raises ValueError with the rest of a sentence ("has no host name").
Parser = Callable[[str], Address]

_TLS_MYSQL = frozenset({"ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "ssl_check_hostname"})
_TLS_POSTGRES = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey"})
_TIMEOUTS_MYSQL = frozenset({"connect_timeout", "read_timeout", "write_timeout"})
_OPTIONS: Mapping[str, frozenset[str]] = {
    "mysql+pymysql": _TLS_MYSQL | _TIMEOUTS_MYSQL | {"charset"},
    "mariadb+pymysql": _TLS_MYSQL | _TIMEOUTS_MYSQL | {"charset"},
    "postgresql+psycopg2": _TLS_POSTGRES | {"connect_timeout", "application_name"},
    "jdbc": frozenset(
        {
            "httppath",
            "ssl",
            "transportmode",
            "authmech",
            "uid",
            "pwd",
            "auth_accesstoken",
            "conncatalog",
            "connschema",
        }
    ),
}
_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
}
_MODES_MYSQL = ("", "disabled", "preferred", "required", "verify_ca", "verify_identity")
_MODES: Mapping[str, tuple[str, ...]] = {
    "mysql+pymysql": _MODES_MYSQL,
    "mariadb+pymysql": _MODES_MYSQL,
    "postgresql+psycopg2": (
        *("", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    ),
}
#: Schemes without a server: files and memory of the portal's own machine.
EMBEDDED = ("sqlite", "memory")


def web(text: str) -> Address:
    """The http(s) address of a server, to which paths are added; the last slash goes."""
    parts = _parts(text)
    if "?" in text or "#" in text:
        raise ValueError("must not hold ? or #: it is the server's address, not that of a page")
    return _web(text, parts)


def _web(text: str, parts: SplitResult) -> Address:
    """With a host and without a password."""
    if parts.scheme not in ("http", "https"):
        raise ValueError("must start with http:// or https://")
    if not parts.hostname:
        raise ValueError("has no host name")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password; secrets have their own field")
    if "\\" in text or any(each.isspace() for each in text):
        raise ValueError("must not hold blanks or backslashes")
    kept = text.rstrip("/")
    name = _checked(parts.hostname)
    tls = Endpoint(name, parts.port or 443) if parts.scheme == "https" else None
    return Address(kept, (name,), kept, tls)


def exact(text: str) -> Address:
    """A web address kept to the letter: `/graphql/` without its slash is another address."""
    return replace(_web(text, _parts(text)), text=text)


def api(text: str) -> Address:
    """OpenMetadata's address: without `/api` its web page answers 200 with HTML."""
    address = web(text)
    if not urlsplit(address.text).path.endswith("/api"):
        raise ValueError("must end in /api, like https://openmetadata.example.com/api")
    return address


def host(text: str) -> Address:
    """A host name, an address, or the folder of a Unix socket."""
    if "://" in text:
        raise ValueError("takes the host name alone, without http:// or a path")
    if text.startswith("/") and not re.search(r"\s", text):
        return Address(text, (), text)
    return Address(text, (_checked(text.removeprefix("[").removesuffix("]")),), text.lower())


def database(text: str) -> Address:
    """A SQLAlchemy URL of a driver that the portal ships, with none but harmless options."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    scheme, _, rest = text.partition("://")
    scheme = _DRIVERS.get(scheme.lower(), scheme.lower())
    if scheme == "sqlite":
        return Address(f"sqlite://{rest}", (), f"sqlite://{rest}")
    if scheme not in _OPTIONS or "+" not in scheme:
        raise ValueError("must start with one of mysql://, mariadb://, postgresql://")
    try:
        url = make_url(f"{scheme}://{rest}")
    except (ArgumentError, ValueError) as exc:
        raise ValueError("is not a URL") from exc
    _allowed(scheme, url.query)
    if not url.host:
        raise ValueError("has no host name")
    tls = sorted((k, v) for k, v in url.query.items() if k in _TLS_MYSQL | _TLS_POSTGRES)
    sent_to = f"{scheme}://{url.host.lower()}:{url.port or ''} {tls or ''}".strip()
    name = _checked(url.host)
    return Address(f"{scheme}://{rest}", (name,), sent_to, _of_a_database(scheme, name, url))


def _of_a_database(scheme: str, name: str, url: "URL") -> Endpoint | None:
    """Both drivers encrypt where the server can, unless they are told not to."""
    mode = url.query.get("ssl_mode") or url.query.get("sslmode") or ""
    if mode not in _MODES[scheme]:
        raise ValueError(f"has a TLS mode that is none of {', '.join(_MODES[scheme][1:])}")
    if mode in ("disabled", "disable"):
        return None
    if scheme.startswith("postgresql"):
        return Endpoint(name, url.port or 5432, "postgres")
    return Endpoint(name, url.port or 3306, "mysql")


def broker(text: str) -> Address:
    """The AMQP URL of one broker or several; `memory://` is the sandbox's."""
    if text.startswith("memory://"):
        return Address(text, (), text)
    try:
        found = brokers.read(brokers.rewrite(text, lambda place: place.rpartition("@")[2]))
    except ValueError as exc:
        said = str(exc)
        raise ValueError(said[3:] if said.startswith("it ") else "is not a URL") from exc
    if any("ssl_verify" in each.options for each in found):
        raise ValueError("may not carry ssl_verify; the environment's TLS setting decides")
    hosts = tuple(dict.fromkeys(_checked(each.host) for each in found))
    first = next((Endpoint(each.host, each.port) for each in found if each.tls), None)
    return Address(text, hosts, _sent_to(text, found), first)


def _sent_to(text: str, found: tuple[brokers.Broker, ...]) -> str:
    """Also whether the broker has to prove itself, and by which files."""
    options = {item for each in found for item in each.options.items()}
    tls = {(name, value) for name, value in options if name.startswith("ssl") and value}
    places = [f"{each.host.lower()}:{each.port}" for each in found]
    if len(found) == 1:  # as it was stored when one address was all there was
        parts = urlsplit(text)
        places = [f"{parts.scheme}://{_checked(found[0].host).lower()}:{parts.port or ''}"]
        tls -= {("ssl", "1")} if parts.scheme == "amqps" else set()
    return f"{','.join(places)} {sorted(tls) or ''}".strip()


def jdbc(text: str) -> Address:
    """A Databricks JDBC URL. The portal reads host, path and catalog from it, nothing else."""
    found = _JDBC.match(text)
    if found is None:
        raise ValueError("must look like jdbc:databricks://<host>:443;httpPath=<path>")
    pairs = [part.partition("=") for part in found[3].split(";") if part.strip()]
    _allowed("jdbc", {name.strip().lower(): value for name, _, value in pairs})
    name = _checked(found[1])
    tls = Endpoint(name, int(found[2] or 443))
    return Address(text, (name,), f"{name.lower()}:{found[2] or ''}", tls)


def _allowed(driver: str, options: Mapping[str, object]) -> None:
    unknown = sorted(set(options) - _OPTIONS[driver])
    if unknown:
        raise ValueError(
            f"may not carry the option {', '.join(unknown)}; "
            f"allowed are {', '.join(sorted(_OPTIONS[driver]))}"
        )


def _checked(name: str) -> str:
    """The host as every library reads it: no percent signs, lists or user parts, and, where it is
    no address, a name that DNS can be asked for."""
    if not (_HOST.match(name) or _IP6.match(name)):
        raise ValueError(
            "is not a host name: it has letters, digits, dots and hyphens, no port and no path"
            if "/" not in name
            else "has no readable host name"
        )
    try:
        name.encode("idna").decode("idna")
    except UnicodeError as exc:
        raise ValueError(
            "is not a host name: what stands between two dots is empty, longer than 63 characters "
            "or no text in any script"
        ) from exc
    return name.rstrip(".")


def _parts(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # a port that is no number raises here, not at the first test
    except ValueError as exc:
        raise ValueError("is not a URL") from exc
    return parts
