"""Who really asks, behind a proxy, and why that is believed.

X-Forwarded-For and -Proto count only from a proxy that PORTAL_TRUSTED_PROXIES names; from everybody
else they are a claim. `gateway` there is the router of the network that this process is in: from
its address a container engine passes on what comes to a port that it published on its own machine.
"""

import ipaddress
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from backend.core.settings import GATEWAY, get_settings
from backend.core.views import View

#: The peer's address for what sees headers alone (a page); `auth.forwarded` writes it.
PEER_HEADER = "x-portal-peer"
_ROUTES = Path("/proc/net/route")
_SECURE = {"http": "https", "ws": "wss"}


class RequestView(View):
    """What the portal believes about one request. why: of the address, in a sentence. warnings:
    what is likely set wrong at the proxy or here."""

    peer: str
    peer_trusted: bool
    trusted_proxies: list[str]
    forwarded_for: str
    forwarded_proto: str
    client_address: str
    scheme: str
    host: str
    public_url: str
    why: str
    warnings: list[str]


def describe(*, peer: str, scheme: str, headers: Mapping[str, str]) -> RequestView:
    """What is believed of a request by its peer, its own scheme and its headers."""
    peer, trusted = folded(peer), is_trusted(folded(peer))
    said, proto = headers.get("x-forwarded-for", ""), headers.get("x-forwarded-proto", "")
    client, believed = believe(peer, scheme, [said] if said else [], proto)
    host, public = headers.get("host", ""), urlsplit(get_settings().public_url)
    view = RequestView(
        peer=peer,
        peer_trusted=trusted,
        trusted_proxies=list(_named(get_settings().trusted_proxies)),
        forwarded_for=said,
        forwarded_proto=proto,
        client_address=client,
        scheme=believed,
        host=host,
        public_url=get_settings().public_url,
        why=_why(peer, trusted, said, client),
        warnings=[],
    )
    warnings = []
    if said and not trusted:
        warnings.append(
            f"{peer} sends X-Forwarded-For and is no trusted proxy. If it is your proxy, name it "
            "in PORTAL_TRUSTED_PROXIES: everybody behind it shares its address now."
        )
    if public.scheme == "https" and believed not in ("https", "wss"):
        warnings.append(
            "PORTAL_PUBLIC_URL is https, and this request is believed to be http. The proxy sends "
            "X-Forwarded-Proto: https, or this request went past it."
        )
    if host and public.netloc != host:
        warnings.append(
            f"The request asks for the host {host}; PORTAL_PUBLIC_URL says {public.netloc}. "
            "The proxy passes Host on as it came."
        )
    return view.model_copy(update={"warnings": warnings})


def believe(peer: str, scheme: str, lines: list[str], proto: str) -> tuple[str, str]:
    """Client address and scheme, of a folded peer and what it passed on."""
    if not is_trusted(peer):
        return peer, scheme
    if proto.split(",")[-1].strip() == "https":
        scheme = _SECURE.get(scheme, scheme)
    return _sender(lines, peer), scheme


def _why(peer: str, trusted: bool, said: str, client: str) -> str:
    if not trusted:
        return f"{peer or 'The peer'} is no trusted proxy, so it is the client itself."
    if not said:
        return f"{peer} is a trusted proxy that passed no address on, so it is the client itself."
    if not is_address(folded(said.split(",")[-1].strip())):
        return f"{peer} is a trusted proxy, and what it passed on is no address."
    if is_trusted(client):
        return f"X-Forwarded-For names trusted proxies only; {client} is the farthest of them."
    return f"{client} is the last address in X-Forwarded-For that no trusted proxy has."


def _sender(lines: list[str], peer: str) -> str:
    """The last address that no trusted proxy wrote: what stands left of it anybody may write."""
    sender = peer
    for text in reversed([part.strip() for line in lines for part in line.split(",")]):
        found = folded(text)
        if not is_address(found):
            return sender
        sender = found
        if not is_trusted(found):
            return sender
    return sender


def folded(text: str) -> str:
    """The plain form of an address: ::ffff:127.0.0.1 is 127.0.0.1, and brackets and port go."""
    bare = text.partition("]")[0].removeprefix("[") if text.startswith("[") else text
    if bare.count(":") == 1 and "." in bare:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return text
    return str(getattr(found, "ipv4_mapped", None) or found)


def network(address: str) -> str:
    """What counts as one caller: an IPv4 address; of IPv6 the /64, given to one line whole."""
    bare = folded(address)
    if not is_address(bare) or ":" not in bare:
        return bare
    return str(ipaddress.ip_network((int(ipaddress.ip_address(bare)), 64), strict=False))


def is_trusted(address: str) -> bool:
    """Whether PORTAL_TRUSTED_PROXIES names the address."""
    if not is_address(address):
        return False
    found = ipaddress.ip_address(address)
    return any(found in network for network in _networks(get_settings().trusted_proxies))


@lru_cache(maxsize=4)
def _networks(
    texts: tuple[str, ...],
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in _named(texts))


def _named(texts: Iterable[str]) -> Iterator[str]:
    """The addresses and networks, the gateway's own for its word.

    Only if nobody but this machine reaches the published port: of one that is open to all, some
    engines pass on everybody's calls from the gateway, and who is trusted is believed.
    """
    host = get_settings().published.rpartition(":")[0].strip("[]")
    through = gateway() if is_address(host) and ipaddress.ip_address(host).is_loopback else ""
    named = (through if text == GATEWAY else text for text in texts)
    return (text for text in named if text)


def gateway() -> str:
    """The IPv4 address that the default route leads to, as Linux says; "" where there is none."""
    try:
        lines = _ROUTES.read_text().splitlines()[1:]
    except OSError:
        return ""
    for _, destination, through, *_ in map(str.split, lines):
        if int(destination, 16) == 0 and int(through, 16):
            return str(ipaddress.IPv4Address(int(through, 16).to_bytes(4, sys.byteorder)))
    return ""


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
