"""boto3 clients, kept per configuration: starts without retries, reads with a few.

boto3 retries a call whose answer it missed, and one click was seen to run a function eight times
that way. So whatever starts or stops something goes through a client that sends once.
Clients are thread-safe and slow to make (service models are parsed), hence they are kept; making a
session is not thread-safe, hence the lock.

A client lives as long as its credentials. What renews itself (a role, SSO, the machine's identity)
botocore renews inside it; it is dropped when AWS refuses the credentials, when there were none,
when the AWS files or variables of this machine have changed, and before a connection test.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from backend.core.errors import UpstreamError
from backend.core.trust import DEFAULT
from backend.integrations.aws import regions
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsCredentials, AwsRefused, translated

Service = Literal["lambda", "stepfunctions", "logs", "sts", "cloudwatch"]

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
#: What a client keeps open is small; an environment's clients are some ten.
MAX_KEPT = 64

#: What botocore's models of this age leave out: durable functions. In botocore's own form for that.
_MODELS = str(Path(__file__).with_name("models"))

#: A NAT gateway forgets a connection that is silent for 350 seconds, and a function may take 900.
_ALIVE = [
    (socket.IPPROTO_TCP, getattr(socket, name), 60)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, name)
]

_lock = threading.RLock()
_kept: dict[tuple[Any, ...], Any] = {}


def client(
    config: AwsConfig,
    service: Service,
    *,
    region: str = "",
    once: bool = False,
    read_timeout: float | None = None,
) -> Any:
    """A client of `service` in `region` (default: the configuration's).

    once: send every request exactly once. read_timeout: seconds, default READ_TIMEOUT. Raises
    UpstreamError when no region is known.
    """
    wait = READ_TIMEOUT if read_timeout is None else read_timeout
    key = (config, _on_this_machine(), service, region, once, wait)
    return _keep(key, lambda: _client(config, service, region, once, wait))


def region_of(config: AwsConfig) -> str:
    """The region in force: the configuration's, then boto3's profile. May be empty."""
    if config.region:
        return config.region
    with calling(config, "AWS", subject="the region", region=""):
        return str(_session(config).region_name or "")


def credentials_expire(config: AwsConfig) -> datetime | None:
    """When the credentials in use end; None for those that do not, and for those whose end only
    AWS knows (a session token that was typed). What botocore renews it renews before that."""
    found = _session(config).get_credentials()
    # Not public, but the only place: every kind that ends (role, SSO, machine, process) has it.
    ends = getattr(found, "_expiry_time", None)
    return ends.astimezone(UTC) if ends is not None else None


@contextlib.contextmanager
def calling(
    config: AwsConfig,
    system: str,
    *,
    subject: str,
    region: str,
    starting: bool = False,
    undone: str = "",
) -> Iterator[None]:
    """`errors.translated`; a client whose credentials AWS refused is not kept."""
    try:
        with translated(system, subject=subject, region=region, starting=starting, undone=undone):
            yield
    except AwsCredentials:
        forget(config)
        raise


def forget(config: AwsConfig | None = None) -> None:
    """Drop the clients and sessions of a configuration, or all."""
    with _lock:
        for key in [key for key in _kept if config in (None, key[0])]:
            del _kept[key]


def _keep(key: tuple[Any, ...], make: Any) -> Any:
    with _lock:
        found = _kept.pop(key, None)
        if found is None:
            found = make()
        _kept[key] = found  # the longest unused one stands first
        while len(_kept) > MAX_KEPT:
            del _kept[next(iter(_kept))]
        return found


def _on_this_machine() -> tuple[Any, ...]:
    """What decides credentials beside the connection: the AWS variables, and the files' age."""
    variables = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    files = (
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
        os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
    )
    return (variables, *(_age(Path(name).expanduser()) for name in files))


def _age(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size)


def _client(config: AwsConfig, service: Service, region: str, once: bool, wait: float) -> Any:
    from botocore.config import Config

    session = _session(config)
    _require_ca_file(session)
    where = region or config.region or session.region_name
    if not where:
        raise UpstreamError(
            "AWS",
            "no region is set",
            "Set `region` on the aws connection or DATAHUB_INGESTION_LAMBDA_REGION.",
        )
    attempts = 1 if once else 3
    made = session.client(
        service,
        region_name=where,
        endpoint_url=config.endpoint_url or None,
        verify=_verify(config, session._session),
        config=Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=wait,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=40,
            tcp_keepalive=True,  # a held call is silent for minutes
        ),
    )
    # Not public, but botocore only switches it on, and Linux then waits two hours.
    made._endpoint.http_session._socket_options += _ALIVE
    if once:
        _keep_no_connection(made)
    return made


def _keep_no_connection(made: Any) -> None:
    """A kept connection may be closed by the other side as the next request leaves: of a start
    nobody would know what became of it. What is under way on other connections is not touched."""
    for event in ("after-call", "after-call-error"):
        made.meta.events.register(event, lambda **_: made.close())


def _session(config: AwsConfig) -> Any:
    return _keep((config, _on_this_machine(), "session"), lambda: _new_session(config))


def _new_session(config: AwsConfig) -> Any:
    import boto3

    made = _assuming(config) if config.role_arn else boto3.Session(**_keys(config))
    made._session.get_component("data_loader").search_paths.append(_MODELS)
    return made


def _verify(config: AwsConfig, session: Any) -> str | bool | None:
    """What botocore checks certificates against; None: its own AWS_CA_BUNDLE or ca_bundle."""
    if config.trust == DEFAULT and session.get_config_variable("ca_bundle"):
        return None
    return config.trust.requests()


def _require_ca_file(session: Any) -> None:
    """urllib3 names no file when the one it was given is not there."""
    bundle = session._session.get_config_variable("ca_bundle")
    if bundle and not Path(bundle).is_file():
        raise AwsRefused(
            "AWS",
            f"the CA file {bundle} does not exist",
            "Correct AWS_CA_BUNDLE, or ca_bundle of the profile in the AWS config file.",
        )


def _keys(config: AwsConfig) -> dict[str, str]:
    keys = {"region_name": config.region, "profile_name": config.profile}
    if config.access_key_id:
        keys |= {
            "aws_access_key_id": config.access_key_id,
            "aws_secret_access_key": config.secret_access_key,
            "aws_session_token": config.session_token,
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
    region = config.region or base.get_config_variable("region")
    region = region or regions.first_of(config.role_arn)

    def sts(_service: str, **arguments: Any) -> Any:
        arguments.pop("config", None)
        return base.create_client(
            "sts",
            region_name=region,
            endpoint_url=config.endpoint_url or None,
            verify=_verify(config, base),
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
        extra_args={"RoleSessionName": "steward-portal"}
        | ({"ExternalId": config.external_id} if config.external_id else {}),
    )
    assumed = get_session()
    assumed._credentials = DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.Session(botocore_session=assumed, region_name=config.region or None)
