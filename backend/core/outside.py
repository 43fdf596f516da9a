"""The one place where calls to outside systems are counted, timed and traced."""

import contextlib
import importlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

from backend.core import metrics, tracing
from backend.core.errors import CredentialsRefused, OutcomeUnknown, PortalError, UpstreamError

# Whole, before threads make calls: vendors' packages import `six.moves`, and Python does not wait
# for a `six` that another thread has only begun to import ("No module named 'six.moves'").
importlib.import_module("six")

#: Systems that are being called; a call within one to the same system is a part of it.
_open: ContextVar[frozenset[str]] = ContextVar("outside.open", default=frozenset())
_BY_STATUS = {503: "unavailable", 504: "timeout"}


@contextlib.contextmanager
def call(system: str) -> Iterator[None]:
    """Around one call to a system, outside of what makes its errors the portal's; a decorator, too.

    system: "datahub", "openmetadata", "postgres" … The outcome is `succeeded`, `refused` (the
    credentials), `unavailable`, `timeout`, `unknown` (a write without an answer), `failed`, or
    `stopped` when what ended the block was no answer of the system.
    """
    before = _open.get()
    if system in before:
        yield
        return
    _open.set(before | {system})
    began, outcome = time.perf_counter(), "succeeded"
    try:
        with tracing.span(f"call {system}", {"peer.service": system}):
            yield
    except BaseException as exc:
        outcome = outcome_of(exc)
        raise
    finally:
        _open.set(before)  # not `reset`: a generator may be closed in another context
        metrics.OUTSIDE_CALLS.labels(system, outcome).inc()
        metrics.OUTSIDE_SECONDS.labels(system).observe(time.perf_counter() - began)


def outcome_of(exc: BaseException) -> str:
    """How a call ended that raised this."""
    match exc:
        case OutcomeUnknown():
            return "unknown"
        case CredentialsRefused():
            return "refused"
        case UpstreamError() | PortalError(status=502 | 503 | 504):
            return _BY_STATUS.get(exc.status, "failed")
        case PortalError():
            return "stopped"
        case Exception():
            return "failed"
        case _:
            return "stopped"
