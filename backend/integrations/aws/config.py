"""Where AWS is and who we are there: a connection's settings as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.core.trust import DEFAULT, Trust


@dataclass(frozen=True)
class AwsConfig:
    """How to reach AWS. Every part may be empty: then boto3's own chain decides.

    profile: of the AWS files of the portal's machine. session_token: beside temporary keys.
    role_arn: assumed with the other credentials before any call; external_id: what its owner asks
    for with it. trust: left alone, AWS_CA_BUNDLE and the profile's ca_bundle count.
    """

    region: str = ""
    endpoint_url: str = ""
    access_key_id: str = ""
    role_arn: str = ""
    external_id: str = ""
    profile: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    trust: Trust = DEFAULT


def from_connection(
    settings: Mapping[str, str], secrets: Mapping[str, str], *, default_region: str = ""
) -> AwsConfig:
    """The AwsConfig of an aws connection's settings and secrets.

    default_region: the region of the environment variables, used when the connection names none.
    """
    return AwsConfig(
        region=(settings.get("region") or default_region or "").strip(),
        endpoint_url=(settings.get("endpoint_url") or "").strip().rstrip("/"),
        access_key_id=(settings.get("access_key_id") or "").strip(),
        role_arn=(settings.get("role_arn") or "").strip(),
        external_id=(settings.get("external_id") or "").strip(),
        profile=(settings.get("profile") or "").strip(),
        secret_access_key=secrets.get("secret_access_key") or "",
        session_token=secrets.get("session_token") or "",
        trust=Trust.of(settings),
    )
