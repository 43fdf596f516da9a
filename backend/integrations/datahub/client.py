"""The DataHub adapter: what the portal asks of a DataHub server, in the portal's own words."""

from types import TracebackType
from typing import Any, Self

from backend.core.trust import Trust
from backend.integrations.datahub import operations, parse, urns
from backend.integrations.datahub.gateway import Gateway
from backend.integrations.datahub.ingestion import IngestionCalls
from backend.integrations.datahub.process_runs import ProcessRunCalls
from backend.integrations.datahub.schemas import (
    MISSING_CLIENT_ID,
    ClientInfo,
    Probe,
)
from backend.integrations.datahub.writes import WriteCalls

_CLIENT_ID_URN = "urn:li:telemetry:clientId"


class DataHubClient(WriteCalls, IngestionCalls, ProcessRunCalls):
    """A DataHub server and a token; nothing is sent before the first call.

    server: address of the metadata service. timeout: seconds, for the whole of each request.
    frontend_url: address of the web interface, for links; without it the server's own is used.
    """

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        frontend_url: str | None = None,
        timeout: float = 10.0,
        trust: Trust | None = None,
    ) -> None:
        self._gateway = Gateway(server, token, timeout, trust)
        self._frontend_url = (frontend_url or "").rstrip("/") or None

    def __repr__(self) -> str:
        return f"DataHubClient({self._gateway.server!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._gateway.close()

    def probe(self) -> Probe:
        """Read the configuration, then who the token is: `/config` alone needs no token."""
        config = self._server_config()
        me = self._gateway.query(operations.ME)
        return Probe(
            server_version=parse.server_version(config),
            server_config=config,
            user_urn=((me.get("me") or {}).get("corpUser") or {}).get("urn") or "",
        )

    def client_info(self) -> ClientInfo:
        """The server's identity. Read as an aspect: the SDK's own `server_id` depends on whether
        telemetry is on for the person running it."""
        config = self._server_config()
        client_id = self._gateway.read(_telemetry_client_id) or MISSING_CLIENT_ID
        return ClientInfo(
            client_id=client_id,
            server_id=client_id,
            frontend_base_url=self._frontend_url or config.get("baseUrl"),
            server_config=config,
        )

    def make_url(self, urn: str) -> str | None:
        """The entity's page in DataHub's web interface; None while its address is not known."""
        return urns.ui_url(self._frontend_url, urn) if self._frontend_url else None

    def _server_config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._gateway.read(
            lambda graph: dict(graph.fetch_server_config().raw_config)
        )
        self._frontend_url = self._frontend_url or (config.get("baseUrl") or "").rstrip("/") or None
        return config


def _telemetry_client_id(graph: Any) -> str | None:
    from datahub.metadata.schema_classes import TelemetryClientIdClass

    found = graph.get_aspect(_CLIENT_ID_URN, TelemetryClientIdClass)
    return str(found.clientId) if found else None
