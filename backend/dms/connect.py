"""Which transport a broker's URL means; each is loaded when it is asked for."""

from backend.dms.errors import RabbitMQException
from backend.dms.transport import LateReply, Transport


def open_transport(url: str, *, on_late: LateReply, connect_timeout: float = 10.0) -> Transport:
    """Connect to the broker at `url`.

    Raises RabbitMQException when it cannot be reached or the URL means no transport.
    """
    scheme = url.partition("://")[0].lower()
    if scheme == "memory":
        from backend.dms.memory import MemoryTransport

        return MemoryTransport(url, on_late=on_late)
    if scheme in ("amqp", "amqps"):
        from backend.dms.pika_transport import PikaTransport

        return PikaTransport(url, on_late=on_late, connect_timeout=connect_timeout)
    raise RabbitMQException(
        "The broker's address must start with amqp://, amqps:// or (in memory) memory://."
    )
