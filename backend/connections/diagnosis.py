"""The network's own reasons, said the same way for every kind: DNS, TLS, refused.

Adapters translate what their SDK raises; underneath it is often one of three things that an admin
fixes in three different places, so those are told apart here from the chain of causes.
"""

import socket
import ssl
from collections.abc import Iterator

from backend.connections import guard
from backend.connections.schemas import ConnectionConfig
from backend.core.errors import UpstreamError


def explain(exc: UpstreamError, config: ConnectionConfig) -> tuple[str, str]:
    """(cause, advice) of a failed probe, both one sentence."""
    where = _where(config)
    for link in _chain(exc):
        if isinstance(link, socket.gaierror):
            return (
                f"the host name {where} is not known (DNS)",
                "Check the spelling, and that the portal's machine can resolve the name",
            )
        if isinstance(link, ssl.SSLCertVerificationError):
            why = getattr(link, "verify_message", "") or "verification failed"
            return (
                f"the TLS certificate of {where} is not trusted ({why})",
                "Add the issuer's certificate to the machine's trusted ones; "
                "checking is never switched off here",
            )
        if isinstance(link, ssl.SSLError):
            return (
                f"no secure connection to {where} came about (TLS)",
                "Check whether that port speaks TLS at all; a plain port needs the plain scheme",
            )
        if isinstance(link, ConnectionRefusedError):
            return (
                f"nothing listens at that port of {where} (connection refused)",
                "Check host and port, and that the server runs",
            )
    return exc.cause, exc.advice


def _where(config: ConnectionConfig) -> str:
    for name in guard.ADDRESSES:
        host = guard.host_of(config.settings.get(name, ""))
        if host and name != "frontend_url":
            return host
    return "the server"


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """The error and all it came from, wrapped ones included; bounded."""
    todo: list[BaseException] = [exc]
    seen: set[int] = set()
    while todo and len(seen) < 50:
        link = todo.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = [link.__cause__, link.__context__, getattr(link, "reason", None)]
        inner += [item for item in getattr(link, "args", ()) if isinstance(item, BaseException)]
        todo.extend(item for item in inner if isinstance(item, BaseException))
