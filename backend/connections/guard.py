"""Which addresses a connection may not lead to (SSRF).

Private and loopback addresses are legitimate here: the systems are internal. Link-local ones are
not: that is where clouds answer with the machine's own credentials (169.254.169.254).
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from backend.connections.schemas import ConnectionConfig
from backend.core.errors import InvalidInput

_METADATA = frozenset(
    ipaddress.ip_address(address) for address in ("100.100.100.200", "fd00:ec2::254")
)
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data"})
#: Settings that hold an address, of any kind.
ADDRESSES = (
    "server",
    "frontend_url",
    "host_port",
    "endpoint",
    "url",
    "host",
    "server_hostname",
    "jdbc_url",
    "endpoint_url",
)


def check_config(config: ConnectionConfig) -> None:
    """Raise InvalidInput when any address leads to the cloud's metadata service, by name too."""
    for name in ADDRESSES:
        host = host_of(config.settings.get(name, ""))
        if host and _is_forbidden(host, lookup=True):
            raise _Forbidden(config.kind, name)


def check_literal(kind: str, settings: dict[str, str]) -> None:
    """The same without asking DNS, for the moment of saving."""
    for name in ADDRESSES:
        host = host_of(settings.get(name, ""))
        if host and _is_forbidden(host, lookup=False):
            raise _Forbidden(kind, name)


class _Forbidden(InvalidInput):
    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            f"{kind} {name} leads to a link-local or cloud metadata address, "
            "which no connection may use. Enter the system's own address."
        )


def host_of(value: str) -> str:
    """The host name or address in a setting, "" when there is none."""
    if not value or value.startswith("/"):
        return ""
    text = value.removeprefix("jdbc:")
    try:
        return (urlsplit(text if "://" in text else f"//{text}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_forbidden(host: str, *, lookup: bool) -> bool:
    if host.lower() in _METADATA_NAMES:
        return True
    return any(_bad(address) for address in _addresses(host, lookup))


def _bad(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_link_local or address.is_multicast or address in _METADATA


def _addresses(host: str, lookup: bool) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        return [ipaddress.ip_address(host.partition("%")[0])]
    except ValueError:
        pass
    flags = 0 if lookup else socket.AI_NUMERICHOST  # decimal and hexadecimal spellings too
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        return []  # an unknown name is for the probe to explain
    return [ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found]
