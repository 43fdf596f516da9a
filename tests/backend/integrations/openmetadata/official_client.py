"""Run in a process of its own: what the official client says to a stand-in, as one JSON line.

Usage: official_client.py HOST_PORT ADMIN_TOKEN EXPIRED_TOKEN BOT_TOKEN (the import costs 8 s).
"""

import json
import logging
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from metadata.generated.schema.api.teams.createUser import CreateUserRequest  # noqa: E402
from metadata.generated.schema.entity.domains.domain import Domain  # noqa: E402
from metadata.generated.schema.entity.services.connections.metadata.openMetadataConnection import (  # noqa: E402
    AuthProvider,
    OpenMetadataConnection,
)
from metadata.generated.schema.entity.teams.user import User  # noqa: E402
from metadata.generated.schema.security.client.openMetadataJWTClientConfig import (  # noqa: E402
    OpenMetadataJWTClientConfig,
)
from metadata.ingestion.ometa.ometa_api import OpenMetadata  # noqa: E402


def connect(host_port: str, token: str) -> OpenMetadata:
    return OpenMetadata(
        OpenMetadataConnection(
            hostPort=host_port,
            authProvider=AuthProvider.openmetadata,
            securityConfig=OpenMetadataJWTClientConfig(jwtToken=token),
            enableVersionValidation=False,
        ),
        additional_client_config_arguments={"timeout": (5, 20), "retry": 0},
    )


def attempt(call) -> str:
    try:
        call()
    except Exception as exc:
        return f"{type(exc).__name__}: {getattr(exc, 'code', '')} {exc}"
    return "ok"


def main() -> dict:
    host_port, admin, expired, bot = sys.argv[1:5]
    om = connect(host_port, admin)
    users = list(
        om.list_all_entities(User, fields=["domains", "roles", "teams", "profile"], limit=5)
    )
    domains = list(om.list_all_entities(Domain, limit=4))
    anna = om.get_by_name(User, "anna.kowalska", fields=["domains"])
    path, tag = f"/users/{anna.id.root}", {"If-Match": f'W/"{anna.version.root}"'}
    patch = json.dumps([{"op": "add", "path": "/displayName", "value": "Anna by client"}])
    patched = om.client.patch(path, data=patch, headers=tag)
    found = {
        "health": om.health_check(),
        "users": sorted(u.name.root for u in users),
        "inherited": sorted(
            u.name.root for u in users for d in (u.domains.root if u.domains else []) if d.inherited
        ),
        "domains": sorted(d.fullyQualifiedName.root for d in domains),
        "patched": patched["displayName"],
        "patched_parses": User(**patched).displayName,
        "stale": attempt(lambda: om.client.patch(path, data=patch, headers=tag)),
        "missing": om.get_by_name(User, "nobody", fields=["domains"]) is None,
        "expired": attempt(
            lambda: list(connect(host_port, expired).list_all_entities(User, limit=5))
        ),
        "bot": attempt(lambda: connect(host_port, bot).client.patch(path, data=patch)),
        "versions": len(om.client.get(f"{path}/versions")["versions"]),
    }
    put = om.create_or_update(
        CreateUserRequest(name="dana.fox", email="dana.fox@example.com", domains=["Research"])
    )
    found["put"] = [put.displayName, [t.name for t in put.teams.root]]
    found["bulk"] = attempt(
        lambda: om.bulk_create_or_update(
            [CreateUserRequest(name="dana.fox", email="dana.fox@example.com")]
        )
    )
    om.delete(User, anna.id)
    found["deleted"] = om.get_by_name(User, "anna.kowalska", fields=["domains"]) is None
    return found


print(json.dumps(main()))  # noqa: T201 - the answer to the test
