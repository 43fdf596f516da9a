"""What pika's errors mean, for a person: a cause, and what to do."""

import re
import socket
import ssl
from dataclasses import dataclass
from typing import Literal

from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from . import brokers

NOT_ALLOWED = 530
ACCESS_REFUSED = 403
NOT_FOUND = 404

#: What `translated` blocks may meet.
RAISED = (
    exceptions.AMQPError,
    exceptions.ChannelError,
    exceptions.ReentrancyError,
    workflow.AMQPConnectorException,
    OSError,
    ValueError,
)
Kind = Literal["unavailable", "nobody", "timeout", "refused", "login"]


@dataclass(frozen=True)
class Meaning:
    """kind: cannot be reached, nobody listens there, did not answer in time, said no, or does not
    take this user."""

    kind: Kind
    cause: str
    advice: str

    @property
    def sentence(self) -> str:
        return f"RabbitMQ: {self.cause}. {self.advice}"


def explain(exc: BaseException, where: str) -> Meaning:
    """The meaning of `exc`. where: the broker's address, or the setting that names it."""
    exc = _root(exc)
    where = shown(where)
    if isinstance(exc, exceptions.ProbableAuthenticationError | exceptions.AuthenticationError):
        return _refused_login(exc, where)
    if getattr(exc, "reply_code", 0) == NOT_ALLOWED or isinstance(
        exc, exceptions.ProbableAccessDeniedError
    ):
        return _refused_vhost(exc, where)
    words = _words(exc)
    if queue_is_away(exc):
        cause = f"{where} cannot reach a queue, for the node it lives on is away ({words})"
        return Meaning("unavailable", cause, "Have that node of the cluster started.")
    for kinds, kind, cause, advice in _MEANINGS:
        if isinstance(exc, kinds):
            return Meaning(kind, cause.format(where=where, words=words), advice)
    return Meaning("unavailable", f"the connection to {where} failed ({words})", _CHECK)


def queue_is_away(exc: object) -> bool:
    """The broker has the queue and cannot reach it: its node is down, or starts.

    RabbitMQ answers 404, as for a queue that does not exist (rabbit_amqqueue.erl).
    """
    said = str(getattr(exc, "reply_text", ""))
    return getattr(exc, "reply_code", 0) == NOT_FOUND and any(words in said for words in _AWAY)


_AWAY = (
    "is down or inaccessible",
    "process is stopped by supervisor",
    "has crashed and failed to restart",
    "due to timeout",
    "may be stopping or being demoted",
)


def shown(text: str) -> str:
    """The addresses in `text` without users and passwords; "the broker" when it is unreadable."""
    try:
        return ", ".join(broker.address for broker in brokers.read(text))
    except ValueError:
        return "the broker"


_CHECK = "Check that the broker runs and that its address is right."
_SAYS = "Its words say why: mostly a right that the user lacks, or a limit."


def _refused_login(exc: BaseException, where: str) -> Meaning:
    # pika calls every end during the login a probable refusal; the broker's own code knows better.
    said = re.search(r"ConnectionClosedByBroker: \((\d+)\)", str(exc))
    if said and int(said[1]) != ACCESS_REFUSED:
        cause = f"{where} ended the login with its error {said[1]}"
        return Meaning("unavailable", cause, "Look at the broker's log.")
    return Meaning(
        "login",
        f"{where} refused the user name or password",
        "Set both again; guest is only let in from the broker's own machine.",
    )


def _refused_vhost(exc: BaseException, where: str) -> Meaning:
    """530 has four meanings (rabbit_reader.erl); the broker's sentence tells which."""
    said = str(exc)
    for words, cause, advice in _NOT_ALLOWED_WORDS:
        if words in said:
            return Meaning("refused", cause.format(where=where), advice)
    cause = f"{where} does not let this user into the virtual host"
    return Meaning("refused", cause, "Check the path of the address and the user's permissions.")


#: The most specific first: a full virtual host also says "access to vhost … refused".
_NOT_ALLOWED_WORDS = (
    (
        "user connection limit",
        "{where}: this user has as many connections open as the broker allows",
        "Close some, or have the user's max-connections raised.",
    ),
    (
        "number of channels",
        "{where}: as many channels are open as the broker allows",
        "Close some, or have max-channels or channel_max raised.",
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
_SLOW = (
    # ConnectionOpenAborted: pika's own clock ended a handshake that nobody answered.
    exceptions.AMQPHeartbeatTimeout,
    workflow.AMQPConnectorStackTimeout,
    exceptions.ConnectionOpenAborted,
)
_CLOSED = (exceptions.ConnectionClosedByBroker, exceptions.ChannelClosedByBroker)
#: The most specific first.
_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], Kind, str, str], ...] = (
    (
        (exceptions.ConnectionBlockedTimeout,),
        "timeout",
        "{where} blocks publishers, its memory or disk alarm is on",
        "Free memory or disk on the broker.",
    ),
    (_SLOW, "timeout", "{where} did not answer in time", _CHECK),
    (
        (exceptions.IncompatibleProtocolError,),
        "unavailable",
        "what listens at {where} hung up or does not speak AMQP",
        _CHECK,
    ),
    ((exceptions.StreamLostError,), "unavailable", "the connection to {where} broke", _CHECK),
    (_CLOSED, "refused", "{where} closed the connection ({words})", _SAYS),
    ((socket.gaierror,), "unavailable", "the name in {where} is unknown", "Check the host name."),
    (
        (ssl.SSLError,),
        "unavailable",
        "TLS with {where} failed ({words})",
        "Check the certificate, and whether the address should be amqp:// or amqps://.",
    ),
    ((TimeoutError,), "timeout", "{where} did not answer in time", _CHECK),
    ((ConnectionRefusedError,), "nobody", "nothing listens at {where}", _CHECK),
    (
        (ValueError,),
        "refused",
        "the address cannot be read ({words})",
        "It looks like amqp://user:password@host:5672/vhost; several hosts have commas between "
        "them, and a comma in a password is written %2C.",
    ),
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
