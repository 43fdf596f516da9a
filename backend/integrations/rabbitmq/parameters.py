"""Connection parameters: no connection to a broker without deadlines."""

from urllib.parse import quote, urlsplit, urlunsplit

import pika

HEARTBEAT = 30
BLOCKED_TIMEOUT = 30.0


def parameters(url: str, *, timeout: float = 10.0) -> pika.URLParameters:
    """Parameters for `url` with deadlines on the socket, the handshake and a blocked broker.

    What the address itself says in its query (`?heartbeat=5`) wins. Raises ValueError with the
    rest of a sentence.
    """
    parts = urlsplit(url)
    _ = parts.port  # raises what is wrong with it
    if parts.scheme not in ("amqp", "amqps"):
        raise ValueError("it must start with amqp:// or amqps://")
    if parts.username and parts.password is None:
        raise ValueError(f"it names the user {parts.username} and no password is stored")
    if "ssl_options" in parts.query:  # pika evaluates it, and opens any file it names
        raise ValueError("it may not carry ssl_options")
    made = pika.URLParameters(url)
    query = parts.query
    if "heartbeat" not in query:
        made.heartbeat = HEARTBEAT
    if "blocked_connection_timeout" not in query:
        made.blocked_connection_timeout = BLOCKED_TIMEOUT
    made.socket_timeout = timeout
    made.stack_timeout = timeout
    made.client_properties = {"connection_name": "steward-portal"}
    return made


def with_password(url: str, password: str) -> str:
    """`url` with `password` put in, percent-encoded; an empty password changes nothing."""
    if not password:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = quote(parts.username or "guest", safe="%")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
