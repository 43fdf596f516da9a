"""The AWS side of a run: facts about targets, remembered a while, and sentences for everybody."""

import threading
import time

from backend.core.errors import OutcomeUnknown, PortalError, UpstreamTimeout, UpstreamUnavailable
from backend.ingestion.targets import Target
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import (
    AwsCredentials,
    AwsDenied,
    AwsNotFound,
    AwsThrottled,
)
from backend.integrations.aws.gateway import Gateway, TargetFacts

#: A target that was there is asked about again after this long; the start itself would tell, too.
REMEMBER_SECONDS = 300.0

_lock = threading.Lock()
_facts: dict[tuple[AwsConfig, Target], tuple[float, TargetFacts]] = {}


def facts(config: AwsConfig, target: Target, *, fresh: bool = False) -> TargetFacts:
    """What AWS says about a target that exists; raises the adapter's errors when it does not."""
    key = (config, target)
    with _lock:
        known = _facts.get(key)
    if known is not None and not fresh and known[0] > time.monotonic():
        return known[1]
    found = Gateway(config).check_target(target.kind, target.name)
    with _lock:
        if len(_facts) > 1000:
            _facts.clear()
        _facts[key] = (time.monotonic() + REMEMBER_SECONDS, found)
    return found


def doubt(config: AwsConfig, target: Target) -> None:
    """Forget a target, because a start has just failed."""
    with _lock:
        _facts.pop((config, target), None)


def forget() -> None:
    """Drop everything remembered (tests)."""
    with _lock:
        _facts.clear()


def public_sentence(exc: PortalError) -> str:
    """What may be said about an AWS error to people who may not see AWS names."""
    if isinstance(exc, OutcomeUnknown):
        return "AWS may have accepted the start; its answer was lost. It is not sent again."
    if isinstance(exc, AwsThrottled):
        return "AWS limits the rate of calls at the moment. Nothing was started."
    if isinstance(exc, AwsNotFound):
        return "The mapped target does not exist in AWS. An admin has to correct the mapping."
    if isinstance(exc, AwsCredentials):
        return "The portal has no usable AWS credentials. An admin has to set them."
    if isinstance(exc, AwsDenied):
        return "The portal's AWS identity lacks a right. An admin has to ask for it."
    if isinstance(exc, UpstreamUnavailable | UpstreamTimeout):
        return "AWS cannot be reached at the moment. Nothing was started."
    return "AWS refused the start. People who may read the mapping see why."
