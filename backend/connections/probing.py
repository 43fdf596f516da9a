"""Runs one probe under a hard deadline and says what happened in one sentence each.

A probe runs in a daemon thread: whoever asked goes on after the deadline, whatever the other side
does. A thread left behind ends with its own socket's timeout; too many of them are refused.
"""

import importlib
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from types import ModuleType
from urllib.parse import quote, quote_plus

from backend.connections import guard, jwt, kinds, neighbours, tls
from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig, TestResult
from backend.core import clock
from backend.core.crypto import SecretUnreadable
from backend.core.errors import (
    CredentialsRefused,
    InvalidInput,
    NothingListens,
    PortalError,
    TooManyAttempts,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
    WrongSystem,
)
from backend.core.log import MASK, get_logger, log_unexpected, mask_text
from backend.integrations import network
from backend.integrations.network import Place

log = get_logger(__name__)

DEADLINE = 10.0
LOAD_DEADLINE = 60.0
MAX_RUNNING = 64
MAX_TEXT = 1000
_NOT_REACHED = (UpstreamUnavailable, UpstreamTimeout, WrongSystem)
_running = threading.BoundedSemaphore(MAX_RUNNING)


@dataclass(frozen=True)
class _Outcome:
    finding: Finding
    seconds: float
    certificates: tls.Seen | None = None


def run(config: ConnectionConfig, *, deadline: float = DEADLINE) -> TestResult:
    """Probe one connection; never raises for what the other side does.

    deadline: seconds, measured from the moment the vendor's SDK is loaded. Raises
    TooManyAttempts when too many earlier probes still hang.
    """
    clock_started: Future[float] = Future()
    outcome: Future[_Outcome] = Future()
    if not _running.acquire(blocking=False):
        raise TooManyAttempts(
            f"{MAX_RUNNING} connection tests are still waiting for an answer. "
            "Wait a few seconds and test again."
        )
    try:
        threading.Thread(
            target=_work,
            args=(config, deadline, clock_started, outcome),
            name=f"probe-{config.kind}",
            daemon=True,
        ).start()
    except BaseException:  # there may be no more of them now
        _running.release()
        raise
    started = time.monotonic()
    wait([clock_started], timeout=LOAD_DEADLINE)
    if clock_started.done():
        started = clock_started.result()
        wait([outcome], timeout=deadline)
    if outcome.done():  # in the last moment, too: the machine may have stood still
        return _result(config, outcome.result())
    finding = Finding(
        False,
        cause=f"no answer within {deadline:g} s",
        advice="Check address, port and the firewall between; the server may be overloaded.",
    )
    return _result(config, _Outcome(finding, time.monotonic() - started))


def _work(
    config: ConnectionConfig,
    deadline: float,
    clock_started: "Future[float]",
    outcome: "Future[_Outcome]",
) -> None:
    try:
        module = importlib.import_module(f"backend.connections.probes.{config.kind}")
        if hasattr(module, "load"):
            module.load()
        clock_started.set_result(time.monotonic())
        with guard.checked(config):
            finding, exc = _probed(module, config, deadline)
            took = time.monotonic() - clock_started.result()
            # An adapter that answers with a finding has learnt nothing of the server, either.
            if isinstance(exc, _NOT_REACHED) or not (exc or finding.ok or finding.server_version):
                finding = _neighbour(finding, config, until=deadline - took)
            outcome.set_result(_Outcome(finding, took, _certificates(config, deadline - took)))
    except BaseException as exc:
        if not clock_started.done():
            clock_started.set_result(time.monotonic())
        took = time.monotonic() - clock_started.result()
        outcome.set_result(_Outcome(_explain(exc, config), took))
    finally:
        _running.release()


def _probed(
    module: ModuleType, config: ConnectionConfig, deadline: float
) -> tuple[Finding, Exception | None]:
    try:
        found: Finding = module.probe(config, deadline=deadline)
        return found, None
    except Exception as exc:
        return _explain(exc, config), exc


def _neighbour(finding: Finding, config: ConnectionConfig, *, until: float) -> Finding:
    """The finding, or who was found there instead."""
    said = neighbours.explain(config, timeout=min(3.0, until - 0.5))
    return replace(finding, cause=said[0], advice=said[1]) if said else finding


def _certificates(config: ConnectionConfig, left: float) -> tls.Seen | None:
    """What the server shows, where the kind speaks TLS and time is left for it."""
    endpoint = kinds.get_kind(config.kind).endpoint(config.settings)
    if endpoint is None or left < 1:
        return None
    return tls.inspect(endpoint, config.trust, timeout=left / 3)


def _explain(exc: BaseException, config: ConnectionConfig) -> Finding:
    if isinstance(exc, UpstreamError):
        ended = jwt.expired(config.secrets)
        if ended and exc.status not in (503, 504):
            field, when = ended
            cause = f"the {field} expired on {when:%Y-%m-%d at %H:%M} UTC ({exc.cause.rstrip('.')})"
            advice = f"Enter a new {field} in this connection."
            return Finding(False, cause=cause, advice=advice, refused=True)
        found = network.explain(exc, exc.system, _place(config)) or exc
        refused = isinstance(exc, CredentialsRefused)
        cause = f"{found.cause}{_without(config) if refused else ''}"
        advice = found.advice
        if isinstance(found, NothingListens):  # libpq and pika do not know of containers
            advice = network.where_it_runs(_place(config), advice)
        return Finding(False, cause=cause, advice=advice, refused=refused)
    if isinstance(exc, SecretUnreadable | PortalError):
        return Finding(False, cause=exc.message, advice="Correct the setting and test again.")
    if isinstance(exc, ImportError):
        missing = exc.name or "a package"
        log.warning("A probe's package is missing.", kind=config.kind, package=missing)
        return Finding(
            False,
            cause=f"the Python package {missing} is not installed",
            advice="Install the portal's requirements again.",
        )
    # The text of an unknown error may hold anything, so only its reference is shown.
    reference = log_unexpected(
        log, "A connection probe failed unexpectedly.", exc, kind=config.kind
    )
    return Finding(
        False,
        cause=f"an unexpected {type(exc).__name__} came up (reference {reference})",
        advice="Tell an operator the reference; the log has the details.",
    )


def _without(config: ConnectionConfig) -> str:
    """What to add when no token was there to be refused. (AWS may have one from its own chain;
    databases and brokers say themselves that they miss a password.)"""
    fields = kinds.get_kind(config.kind).secrets
    if config.secrets or not fields or fields[0].name == "password" or config.kind == "aws":
        return ""
    label = fields[0].label
    named = label if label[1].isupper() else label[0].lower() + label[1:]
    return f"; no {named} is stored"


def _place(config: ConnectionConfig) -> Place:
    """The address that the probe went to."""
    try:
        found = guard.hosts(config.kind, config.settings)
    except InvalidInput:
        found = []  # the address itself was refused, and that was said
    for name, host in found:
        if name != "frontend_url":
            return Place(host, Place.of(config.settings[name]).url)
    return Place("the server")


def _result(config: ConnectionConfig, outcome: "_Outcome") -> TestResult:
    finding = outcome.finding

    def clean(text: str) -> str:
        return _clean(text, config.secrets)

    ends = jwt.ends(config.secrets)
    own = tuple(sorted({clean(text) for text in finding.warnings}))
    kept = tls.document(outcome.certificates)
    if text := tls.expiring(kept):
        own = (*own, text)
    if outcome.certificates and not config.trust.verify:
        own = (*own, tls.UNVERIFIED)
    return TestResult(
        kind=config.kind,
        ok=finding.ok,
        latency_ms=max(0, round(outcome.seconds * 1000)),
        server_version=clean(finding.server_version)[:200],
        cause=_sentence(clean(finding.cause)),
        advice=_sentence(clean(finding.advice)),
        warnings=own + jwt.warnings(ends),
        ends=ends,
        refused=finding.refused,
        tested_at=clock.now(),
        tls=kept,
    )


def _clean(text: str, secrets: Mapping[str, str]) -> str:
    """The text without any secret of the connection, in any spelling, and not too long."""
    for value in secrets.values():
        for spelling in {value, quote(value, safe=""), quote(value), quote_plus(value)}:
            if len(spelling) >= 4:
                text = text.replace(spelling, MASK)
    return mask_text(" ".join(text.split()))[:MAX_TEXT]


def _sentence(text: str) -> str:
    if not text:
        return ""
    start = text[0] if "://" in text.split()[0] else text[0].upper()
    return start + text[1:] + ("" if text[-1] in ".!?" else ".")
