"""A stand-in for an OpenMetadata server, held to the wire contract by the official client."""

import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from backend.sandbox.faults import Faults
from backend.sandbox.loopback import LoopbackServer
from backend.sandbox.openmetadata import policy
from backend.sandbox.openmetadata.routes import Api
from backend.sandbox.openmetadata.store import Store
from backend.sandbox.openmetadata.writes import rules_for


class StandIn:
    """Serves on 127.0.0.1 from construction of the context until close().

    version decides how bots and If-Match behave (see `writes.rules_for`); if_match overrides:
    "enforced", "ignored", "echo_only". latency in seconds is added to every request. tls: serve
    https with this context.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        state_file: Path | None = None,
        seed: Callable[[Store], None] | None = None,
        version: str = "2.0.6",
        if_match: str = "auto",
        latency: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.store = Store(state_file)
        self.store.load(seed)
        self.api = Api(self.store, version, rules_for(version, if_match))
        self.server = LoopbackServer(self.api.answer, port=port, latency=latency, tls=tls)

    @property
    def url(self) -> str:
        """The host_port setting of a connection: ends in /api."""
        return f"{self.server.base_url}/api"

    @property
    def faults(self) -> Faults:
        return self.server.faults

    @property
    def requests(self) -> list[tuple[str, str]]:
        """(method, path) of what was asked so far."""
        return self.server.requests

    def token(self, name: str, expires_in: float | None = None) -> str:
        """A JWT of an existing account; expires_in in seconds, may be negative."""
        return policy.make_token(self.store, name, expires_in)

    def start(self) -> Self:
        self.server.start()
        return self

    def close(self) -> None:
        self.server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
