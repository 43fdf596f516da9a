"""Is AWS usable: who are we there, and may we start each mapped target. Starts nothing."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from backend.core.errors import UpstreamError
from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.gateway import Gateway, Kind


@dataclass(frozen=True)
class Target:
    kind: Kind
    name: str


@dataclass(frozen=True)
class TargetResult:
    kind: Kind
    name: str
    ok: bool
    cause: str = ""
    advice: str = ""


@dataclass(frozen=True)
class ProbeResult:
    """What a connection test found. cause and advice are empty when ok. expires_at: when the
    credentials end, None when they do not or nobody here knows."""

    ok: bool
    region: str
    latency_ms: float
    account: str = ""
    arn: str = ""
    cause: str = ""
    advice: str = ""
    targets: tuple[TargetResult, ...] = ()
    expires_at: datetime | None = None


def probe(
    config: AwsConfig, *, targets: Sequence[Target] = (), deadline: float = 10.0
) -> ProbeResult:
    """Caller identity, then per target a DryRun or DescribeStateMachine, within `deadline` seconds.

    Targets that no time was left for say so. Never raises for what AWS or the network says.
    """
    begun = time.monotonic()
    region = ""
    clients.forget(config)  # a test judges the credentials of now
    try:
        region = clients.region_of(config)
        with clients.calling(config, "AWS", subject="the caller's identity", region=region):
            who = clients.client(config, "sts", once=True).get_caller_identity()
    except UpstreamError as exc:
        return ProbeResult(False, region, _ms_since(begun), cause=exc.cause, advice=exc.advice)
    latency = _ms_since(begun)
    results = tuple(
        _target(config, target, time.monotonic() - begun < deadline) for target in targets
    )
    wrong = [result for result in results if not result.ok]
    return ProbeResult(
        ok=not wrong,
        region=region,
        latency_ms=latency,
        account=who.get("Account", ""),
        arn=who.get("Arn", ""),
        cause="; ".join(result.cause for result in wrong[:3])
        + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""),
        advice=wrong[0].advice if wrong else "",
        targets=results,
        expires_at=clients.credentials_expire(config),
    )


def _target(config: AwsConfig, target: Target, in_time: bool) -> TargetResult:
    if not in_time:
        return TargetResult(
            target.kind,
            target.name,
            False,
            f"no time was left to check {target.name}",
            "Run the test again; earlier targets answered slowly.",
        )
    try:
        Gateway(config).check_target(target.kind, target.name)
    except UpstreamError as exc:
        return TargetResult(target.kind, target.name, False, exc.cause, exc.advice)
    return TargetResult(target.kind, target.name, True)


def _ms_since(begun: float) -> float:
    return round((time.monotonic() - begun) * 1000, 1)
