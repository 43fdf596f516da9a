"""pika's errors as the portal's, each with its cause and what to do."""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from backend.core.errors import (
    CredentialsRefused,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)

SYSTEM = "RabbitMQ"
NOT_ALLOWED = 530
ACCESS_REFUSED = 403


class BrokerUnavailable(UpstreamUnavailable):
    """The broker cannot be reached, or dropped the connection."""


class BrokerTimeout(UpstreamTimeout):
    """The broker did not answer in time."""


class BrokerRefused(UpstreamError):
    """The broker answered and said no: credentials, virtual host, permission, protocol."""


class LoginRefused(BrokerRefused, CredentialsRefused):
    """The broker does not know the user, or another password is right."""


def address(url: str) -> str:
    """`url` without user and password, safe to show; "the broker" when it cannot be read."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port
    except ValueError:
        return "the broker"
    port = port or (5671 if parts.scheme == "amqps" else 5672)
    return f"{parts.scheme}://{host}:{port}{parts.path}"


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Run a block that speaks to the broker at `url`; raises only the three errors above."""
    try:
        yield
    except (
        exceptions.AMQPError,
        exceptions.ChannelError,
        exceptions.ReentrancyError,
        workflow.AMQPConnectorException,
        OSError,
        ValueError,
    ) as exc:
        raise explain(exc, url) from exc


def explain(exc: BaseException, url: str) -> UpstreamError:
    """The error that tells a person what `exc` meant."""
    exc = _root(exc)
    where = address(url)
    for kinds, build in _MEANINGS:
        if isinstance(exc, kinds):
            return build(exc, where)
    return BrokerUnavailable(SYSTEM, f"the connection to {where} failed ({_words(exc)})", _CHECK)


_CHECK = "Check that the broker runs and that its address is right."


def _refused_login(exc: BaseException, where: str) -> UpstreamError:
    # pika calls every end during the login a probable refusal; the broker's own code knows better.
    said = re.search(r"ConnectionClosedByBroker: \((\d+)\)", str(exc))
    if said and int(said[1]) != ACCESS_REFUSED:
        return BrokerUnavailable(
            SYSTEM, f"{where} ended the login with its error {said[1]}", "Look at the broker's log."
        )
    return LoginRefused(
        SYSTEM,
        f"{where} refused the user name or password",
        "Set both again; guest is only let in from the broker's own machine.",
    )


def _refused_vhost(exc: BaseException, where: str) -> UpstreamError:
    """530 has four meanings (rabbit_reader.erl); the broker's sentence tells which."""
    said = str(exc)
    for words, cause, advice in _NOT_ALLOWED_WORDS:
        if words in said:
            return BrokerRefused(SYSTEM, cause.format(where=where), advice)
    return BrokerRefused(
        SYSTEM,
        f"{where} does not let this user into the virtual host",
        "Check the path of the address and the user's permissions.",
    )


#: The most specific first: a full virtual host also says "access to vhost … refused".
_NOT_ALLOWED_WORDS = (
    (
        "user connection limit",
        "{where}: this user has as many connections open as the broker allows",
        "Close some, or have the user's max-connections raised.",
    ),
    (
        "connection limit",
        "{where}: the virtual host has as many connections open as the broker allows",
        "Close some, or have the virtual host's max-connections raised.",
    ),
    (
        "not found",
        "there is no such virtual host at {where}",
        "Check the path of the address; the default virtual host is /.",
    ),
    (
        "refused for user",
        "{where} does not let this user into the virtual host",
        "Have rabbitmqctl set_permissions run for it.",
    ),
)


def _closed_by_broker(exc: BaseException, where: str) -> UpstreamError:
    if getattr(exc, "reply_code", 0) == NOT_ALLOWED:
        return _refused_vhost(exc, where)
    return BrokerRefused(
        SYSTEM, f"{where} closed the connection ({_words(exc)})", "Check the user's permissions."
    )


def _blocked(_exc: BaseException, where: str) -> UpstreamError:
    return BrokerTimeout(
        SYSTEM,
        f"{where} blocks publishers, its memory or disk alarm is on",
        "Free memory or disk on the broker.",
    )


def _slow(_exc: BaseException, where: str) -> UpstreamError:
    return BrokerTimeout(SYSTEM, f"{where} did not answer in time", _CHECK)


def _broke(_exc: BaseException, where: str) -> UpstreamError:
    return BrokerUnavailable(SYSTEM, f"the connection to {where} broke", _CHECK)


def _no_amqp(_exc: BaseException, where: str) -> UpstreamError:
    return BrokerUnavailable(
        SYSTEM, f"what listens at {where} hung up or does not speak AMQP", _CHECK
    )


def _unknown_name(_exc: BaseException, where: str) -> UpstreamError:
    return BrokerUnavailable(SYSTEM, f"the name in {where} is unknown", "Check the host name.")


def _tls(exc: BaseException, where: str) -> UpstreamError:
    return BrokerUnavailable(
        SYSTEM,
        f"TLS with {where} failed ({_words(exc)})",
        "Check the certificate, and whether the address should be amqp:// or amqps://.",
    )


def _nobody_there(_exc: BaseException, where: str) -> UpstreamError:
    return BrokerUnavailable(SYSTEM, f"nothing listens at {where}", _CHECK)


def _no_address(exc: BaseException, _where: str) -> UpstreamError:
    return BrokerRefused(
        SYSTEM,
        f"the address cannot be read ({_words(exc)})",
        "It looks like amqp://user:password@host:5672/vhost.",
    )


#: The most specific first.
_MEANINGS = (
    ((exceptions.AuthenticationError, exceptions.ProbableAuthenticationError), _refused_login),
    ((exceptions.ProbableAccessDeniedError,), _refused_vhost),
    ((exceptions.ConnectionBlockedTimeout,), _blocked),
    (
        # ConnectionOpenAborted: pika's own clock ended a handshake that nobody answered.
        (
            exceptions.AMQPHeartbeatTimeout,
            workflow.AMQPConnectorStackTimeout,
            exceptions.ConnectionOpenAborted,
        ),
        _slow,
    ),
    ((exceptions.IncompatibleProtocolError,), _no_amqp),
    ((exceptions.StreamLostError,), _broke),
    ((exceptions.ConnectionClosedByBroker, exceptions.ChannelClosedByBroker), _closed_by_broker),
    ((socket.gaierror,), _unknown_name),
    ((ssl.SSLError,), _tls),
    ((TimeoutError,), _slow),
    ((ConnectionRefusedError,), _nobody_there),
    ((ValueError,), _no_address),
)


def _root(exc: BaseException) -> BaseException:
    """pika wraps what happened into lists of attempts; the innermost one says it."""
    for _ in range(5):
        inner = getattr(exc, "exceptions", None) or getattr(exc, "exception", None)
        if inner is None and type(exc) is exceptions.AMQPConnectionError and exc.args:
            inner = exc.args[0]
        if isinstance(inner, (list, tuple)) and inner:
            inner = inner[-1]
        if not isinstance(inner, BaseException):
            break
        exc = inner
    return exc


def _words(exc: BaseException) -> str:
    text = str(exc).strip() or exc.__class__.__name__
    return text[:200]
