"""RabbitMQ: a connection, a login and a channel on each broker of the connection."""

from typing import TYPE_CHECKING

from backend.connections import resolve
from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig
from backend.core.errors import (
    CredentialsRefused,
    NothingListens,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.dms import brokers

if TYPE_CHECKING:
    from backend.dms.broker_errors import Meaning

SYSTEM = "RabbitMQ"
_FORM = "It looks like amqp://user@host:5672/vhost."


class LoginRefused(CredentialsRefused):
    """The broker does not know the user, or another password is right."""


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    """Every broker is asked: one that is away would be found out on the day it is needed."""
    url = resolve.url(config)
    if url.startswith("memory://"):
        return Finding(server_version="in-memory transport of the sandbox")
    try:
        found = brokers.read(url)
    except ValueError as exc:
        cause = str(exc).replace("it ", "the URL ", 1)
        lacks = isinstance(exc, brokers.NoPassword)
        advice = "Set the password of this connection." if lacks else _FORM
        raise UpstreamError(SYSTEM, cause, advice) from exc
    versions: list[str] = []
    away: list[str] = []
    error: UpstreamError | None = None
    for each in found:
        try:
            versions.append(ask(each, timeout=deadline * 0.9 / len(found)))
        except UpstreamError as exc:
            away.append(exc.message)
            error = exc
    if error is not None and not versions:
        raise error
    said = ", ".join(dict.fromkeys(versions))
    return Finding(server_version=said, warnings=tuple(away))


def ask(broker: brokers.Broker, *, timeout: float) -> str:
    """Log in, open a channel and close both; what the broker says that it is."""
    import pika

    from backend.dms.broker_errors import RAISED

    try:
        connection = pika.BlockingConnection(broker.parameters(timeout=timeout))
        try:
            connection.channel().close()
            said = connection._impl.server_properties or {}
        finally:
            connection.close()
    except RAISED as exc:
        raise _raised(exc, broker.address) from exc
    return f"{_text(said.get('product'))} {_text(said.get('version'))}".strip()


def _raised(exc: BaseException, where: str) -> UpstreamError:
    from backend.dms.broker_errors import explain

    return _error(explain(exc, where))


def _error(found: "Meaning") -> UpstreamError:
    kinds = {
        "unavailable": UpstreamUnavailable,
        "timeout": UpstreamTimeout,
        "refused": UpstreamError,
        "login": LoginRefused,
        "nobody": NothingListens,
    }
    return kinds[found.kind](SYSTEM, found.cause, found.advice)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
