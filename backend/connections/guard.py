"""Which addresses a connection may not lead to (SSRF).

Private and loopback addresses are legitimate here: the systems are internal. Those where clouds
answer with the machine's own credentials are not: link-local (169.254.169.254) and the fixed
addresses of Azure, Oracle, Alibaba, AWS and Google, also written inside an IPv6 address.

Which setting is an address, and which hosts a driver takes from it, is said by the field itself
(`backend.connections.addresses`). A probe resolves each host once, here, and connects to what was
found: a name that changes between the check and the use changes nothing.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Iterator, Mapping

from backend.connections import kinds
from backend.connections.schemas import ConnectionConfig
from backend.core import resolving
from backend.core.errors import FieldInvalid, InvalidInput

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA = tuple(
    ipaddress.ip_network(address)
    for address in (
        "192.0.0.0/24",  # Oracle's 192.0.0.192 among them
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure
        "fd00:ec2::/32",  # AWS: 254 is the machine's metadata, 23 the pod's
        "fd00:c1::a9fe:a9fe",  # Oracle
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
    )
)
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data"})
#: NAT64 (RFC 6052, RFC 8215), translated (RFC 2765) and IPv4-compatible: the last four bytes are
#: the IPv4 address.
_NAT64_HERE = ipaddress.ip_network("64:ff9b:1::/48")
_EMBEDDING = (
    _NAT64_HERE,
    *(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")),
)
#: ISATAP (RFC 5214), in any network: so begins the second half, and the IPv4 address ends it.
_ISATAP = (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe")


@contextlib.contextmanager
def checked(config: ConnectionConfig) -> Iterator[None]:
    """Inside, this thread connects to nothing but what was looked at.

    Raises InvalidInput when any address leads to the cloud's metadata service, by name too, at the
    start or (a redirect, a name that the driver adds) in the middle. AWS's own credential chain
    may ask the machine's metadata service, as everywhere.
    """
    pins = {}
    for name, host in hosts(config.kind, config.settings):
        found = _addresses(host)
        if _forbidden_name(host) or any(map(_bad, found)):
            raise _Forbidden(config.kind, name)
        if found:
            pins[host] = tuple(str(address) for address in found)

    def check(address: str) -> None:
        if config.kind != "aws" and _bad(ipaddress.ip_address(address.partition("%")[0])):
            raise _Forbidden(config.kind, "server, by another address than the one entered,")

    with resolving.pinned(pins, check):
        yield


@contextlib.contextmanager
def outbound(what: str, hosts: Iterable[str] = (), *, public: bool = False) -> Iterator[None]:
    """`checked` for an address that is no connection, a channel of messages.

    hosts: looked up at the start; every other name is looked at when it is used. public: private
    addresses and this machine may not be reached either. Raises InvalidInput.
    """
    pins = {}
    for host in hosts:
        pins[host] = tuple(str(each) for each in _outbound_addresses(what, host, public=public))

    def check(address: str) -> None:
        _check_outbound(what, ipaddress.ip_address(address.partition("%")[0]), public=public)

    with resolving.pinned({name: found for name, found in pins.items() if found}, check):
        yield


def check_outbound_literal(what: str, hosts: Iterable[str], *, public: bool = False) -> None:
    """The same without asking DNS, for the moment of saving."""
    for host in hosts:
        _outbound_addresses(what, host, public=public, flags=socket.AI_NUMERICHOST)


def _outbound_addresses(what: str, host: str, *, public: bool, flags: int = 0) -> list[Ip]:
    if _forbidden_name(host):
        raise InvalidInput(_FORBIDDEN.format(what=what))
    found = _addresses(host, flags)
    for address in found:
        _check_outbound(what, address, public=public)
    return found


def _check_outbound(what: str, address: Ip, *, public: bool) -> None:
    if _bad(address):
        raise InvalidInput(_FORBIDDEN.format(what=what))
    if public and not all(each.is_global for each in _embedded(address) or (address,)):
        raise InvalidInput(
            f"{what} leads to a private address. Only an admin's channel may do so; "
            "ask an admin for one, or use an address on the Internet."
        )


def check_literal(kind: str, settings: Mapping[str, str]) -> None:
    """The same without asking DNS, for the moment of saving."""
    for name, host in hosts(kind, settings):
        if _forbidden_name(host) or any(map(_bad, _addresses(host, socket.AI_NUMERICHOST))):
            raise _Forbidden(kind, name)


def hosts(kind: str, settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """(setting, host) of everything the kind's drivers will connect to.

    Raises InvalidInput for a stored address that may not be used any more.
    """
    known = kinds.get_kind(kind)
    return [
        (field.name, host)
        for field in known.settings
        for host in field.parsed(known.label, settings.get(field.name, "")).hosts
    ]


def check_embedded(kind: str, settings: Mapping[str, str], *, sandbox: bool) -> None:
    """Files of the portal's own machine are the sandbox's alone.

    Raises InvalidInput: `sqlite:////path` would make or open any file, the state included.
    """
    if not sandbox and settings.get("url", "").startswith("sqlite:"):
        raise FieldInvalid(
            {
                "url": f"{kind} url: only the sandbox may use sqlite. "
                "Enter the server of the ledger, like mysql://user@db.example.com:3306/dms."
            }
        )


_FORBIDDEN = (
    "{what} leads to a link-local or cloud metadata address, "
    "which no connection may use. Enter the system's own address."
)


class _Forbidden(FieldInvalid):
    def __init__(self, kind: str, name: str) -> None:
        super().__init__({name: _FORBIDDEN.format(what=f"{kind} {name}")})


def _forbidden_name(host: str) -> bool:
    return host.lower() in _METADATA_NAMES


def _bad(address: Ip) -> bool:
    return (
        any(map(_bad, _embedded(address)))
        or address.is_link_local
        or address.is_multicast
        or any(address in net for net in _METADATA)
    )


def _embedded(address: Ip) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that something on the way may take out of this one."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    packed = address.packed
    found = [address.ipv4_mapped, address.sixtofour, (address.teredo or (None, None))[1]]
    if any(address in net for net in _EMBEDDING) or packed[8:12] in _ISATAP:
        found.append(ipaddress.IPv4Address(packed[12:]))
    if address in _NAT64_HERE:  # a prefix of 48 bits has it around the ninth byte
        found.append(ipaddress.IPv4Address(packed[6:8] + packed[9:11]))
    return [each for each in found if each is not None]


def _addresses(host: str, flags: int = 0) -> list[Ip]:
    """What the host stands for: decimal and hexadecimal spellings too; [] for an unknown name."""
    try:
        return [ipaddress.ip_address(host.partition("%")[0])]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        return []  # an unknown name is for the probe to explain
    unique = dict.fromkeys(str(item[4][0]).partition("%")[0] for item in found)
    return [ipaddress.ip_address(each) for each in unique]
