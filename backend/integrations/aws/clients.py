"""boto3 clients, made once per configuration: starts without retries, reads with a few.

boto3 retries a call whose answer it missed, and one click was seen to run a function eight times
that way. So whatever starts or stops something goes through a client that sends once.
Clients are thread-safe and slow to make (service models are parsed), hence the cache; making a
session is not thread-safe, hence the lock.
"""

import threading
from functools import lru_cache
from typing import Any, Literal

from backend.core.errors import UpstreamError
from backend.integrations.aws.config import AwsConfig

Service = Literal["lambda", "stepfunctions", "logs", "sts"]

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0

_lock = threading.RLock()


def client(config: AwsConfig, service: Service, *, region: str = "", once: bool = False) -> Any:
    """A client of `service` in `region` (default: the configuration's).

    once: send every request exactly once. Raises UpstreamError when no region is known.
    """
    with _lock:
        return _client(config, service, region, once)


def region_of(config: AwsConfig) -> str:
    """The region in force: the configuration's, then boto3's profile. May be empty."""
    if config.region:
        return config.region
    with _lock:
        return str(_session(config).region_name or "")


def forget() -> None:
    """Drop every cached client and session (credentials were rotated; tests)."""
    with _lock:
        _client.cache_clear()
        _session.cache_clear()


@lru_cache(maxsize=64)
def _client(config: AwsConfig, service: Service, region: str, once: bool) -> Any:
    from botocore.config import Config

    session = _session(config)
    where = region or config.region or session.region_name
    if not where:
        raise UpstreamError(
            "AWS",
            "no region is set",
            "Set `region` on the aws connection or DATAHUB_INGESTION_LAMBDA_REGION.",
        )
    attempts = 1 if once else 3
    return session.client(
        service,
        region_name=where,
        endpoint_url=config.endpoint_url or None,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=40,
        ),
    )


@lru_cache(maxsize=16)
def _session(config: AwsConfig) -> Any:
    import boto3

    if not config.role_arn:
        return boto3.Session(**_keys(config))
    return _assuming(config)


def _keys(config: AwsConfig) -> dict[str, str]:
    keys = {"region_name": config.region}
    if config.access_key_id:
        keys |= {
            "aws_access_key_id": config.access_key_id,
            "aws_secret_access_key": config.secret_access_key,
        }
    return {name: value for name, value in keys.items() if value}


def _assuming(config: AwsConfig) -> Any:
    """A session whose credentials come from AssumeRole and renew themselves."""
    import boto3
    from botocore.config import Config
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.exceptions import NoCredentialsError
    from botocore.session import get_session

    base = boto3.Session(**_keys(config))._session
    source = base.get_credentials()
    if source is None:
        raise NoCredentialsError
    region = config.region or base.get_config_variable("region") or "us-east-1"

    def sts(_service: str, **arguments: Any) -> Any:
        arguments.pop("config", None)
        return base.create_client(
            "sts",
            region_name=region,
            endpoint_url=config.endpoint_url or None,
            # boto3's own would be a minute and five tries: too long before a start.
            config=Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"total_max_attempts": 2, "mode": "standard"},
            ),
            **arguments,
        )

    fetcher = AssumeRoleCredentialFetcher(
        client_creator=sts,
        source_credentials=source,
        role_arn=config.role_arn,
        extra_args={"RoleSessionName": "steward-portal"},
    )
    assumed = get_session()
    assumed._credentials = DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.Session(botocore_session=assumed, region_name=config.region or None)
