"""AWS: who we are there, and may we start each mapped function (DryRun)."""

import importlib
from collections.abc import Callable, Sequence

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig
from backend.core.settings import get_settings

#: Environment name -> ("lambda" | "stepfunctions", name) of everything that is mapped there.
Targets = Callable[[str], Sequence[tuple[str, str]]]
_providers: list[Targets] = []


def provide_targets(provider: Targets) -> None:
    """Register where mapped functions come from.

    The ingestion room calls this when it is imported: it builds on this room, not the reverse.
    """
    if provider not in _providers:
        _providers.append(provider)


def load() -> None:
    """Import boto3 before the clock starts."""
    importlib.import_module("backend.integrations.aws.probe")
    importlib.import_module("boto3")


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    from backend.integrations.aws.config import from_connection
    from backend.integrations.aws.probe import Target
    from backend.integrations.aws.probe import probe as probe_aws
    from backend.integrations.aws.regions import is_known_region

    targets = [
        Target("lambda" if kind == "lambda" else "stepfunctions", name)
        for provider in _providers
        for kind, name in provider(config.environment.name)
    ]
    aws = from_connection(
        config.settings, config.secrets, default_region=get_settings().lambda_region
    )
    found = probe_aws(aws, targets=targets, deadline=deadline * 0.8)
    if not found.account and not aws.endpoint_url and not is_known_region(found.region):
        return Finding(
            False,
            cause=f"there is no AWS region '{found.region}'",
            advice="Enter a region such as eu-central-1.",
        )
    version = f"account {found.account} in {found.region}" if found.account else ""
    if version and found.expires_at is not None:
        version += f"; credentials expire at {found.expires_at:%Y-%m-%d %H:%M} UTC"
    return Finding(found.ok, version, found.cause, found.advice)
