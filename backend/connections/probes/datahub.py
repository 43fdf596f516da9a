"""DataHub: its configuration and one authenticated read."""

import httpx

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig
from backend.core.errors import UpstreamError
from backend.core.trust import Trust
from backend.integrations import http


def load() -> None:
    """Import the SDK, once a process."""
    from backend.integrations.datahub import sdk

    sdk.load()


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    """GET /config, then who the token is: `/config` alone answers without a token."""
    from backend.integrations.datahub.client import DataHubClient

    server = config.settings["server"]
    refuse_redirect(server, deadline / 2, config.trust)
    timeout = min(deadline * 0.9, float(config.settings["timeout"]))
    with DataHubClient(
        server, config.secrets.get("token"), timeout=timeout, trust=config.trust
    ) as client:
        found = client.probe()
    warnings = () if found.user_urn else ("The server did not say whose token this is.",)
    return Finding(server_version=found.server_version or "", warnings=warnings)


def refuse_redirect(server: str, timeout: float, trust: Trust) -> None:
    """Raise when the address answers with a redirect: the SDK would follow it anywhere.

    Every other answer and failure is left to the adapter, which has the better words for it.
    """
    try:
        with (
            http.client(server, timeout=timeout, trust=trust) as client,
            client.stream("GET", f"{server}/config") as response,
        ):
            if not response.is_redirect:
                return
            status = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError):
        return
    raise UpstreamError(
        "DataHub",
        f"the address answers with a redirect (HTTP {status}), which is not followed",
        "Enter the address it leads to, usually https:// instead of http://.",
    )
