"""Which transport a broker's URL means; each is loaded when it is asked for."""

from collections.abc import Callable, Mapping

from .transport import LateReply, Transport

#: Makes a transport for (url, on_late).
Factory = Callable[[str, LateReply], Transport]
_OTHERS: dict[str, Factory] = {}


def register(scheme: str, factory: Factory) -> None:
    """Addresses that start with `scheme://` mean `factory`'s transport from now on."""
    _OTHERS[scheme] = factory


def open_transport(
    url: str,
    *,
    on_late: LateReply,
    connect_timeout: float = 10.0,
    tls: Mapping[str, str] | None = None,
) -> Transport:
    """Connect to the broker at `url`, or to the first of several that answers.

    tls: files for brokers whose address names none, see `brokers.TLS_FILES`. Raises
    RabbitMQException when none can be reached or the URL cannot be read.
    """
    other = _OTHERS.get(url.partition("://")[0].lower())
    if other is not None:
        return other(url, on_late)
    from .pika_transport import PikaTransport

    return PikaTransport(url, on_late=on_late, connect_timeout=connect_timeout, tls=tls)
