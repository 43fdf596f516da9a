"""OpenMetadata: its version, who the token is, and what that account may see."""

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    from backend.integrations.openmetadata.errors import EmailsMasked, TooOld
    from backend.integrations.openmetadata.gateway import OpenMetadataGateway

    gateway = OpenMetadataGateway(
        config.settings["host_port"],
        config.secrets.get("jwt_token", ""),
        timeout=deadline * 0.9,
        max_connections=2,
        verify=config.trust.context(),
        sleep=lambda _seconds: None,  # a test tells what is now; it does not wait for better times
    )
    with gateway:
        try:
            found = gateway.probe()
        except (EmailsMasked, TooOld) as exc:
            version = gateway.version().text
            return Finding(False, server_version=version, cause=exc.cause, advice=exc.advice)
    return Finding(server_version=found.version, warnings=tuple(found.warnings))
