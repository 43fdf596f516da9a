"""Calls to outside systems are counted once each, by how they ended."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from backend.core import metrics, outside
from backend.core.errors import (
    CredentialsRefused,
    InvalidInput,
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)


def counted(system: str, outcome: str) -> float:
    labels = {"system": system, "outcome": outcome}
    return metrics.SHARED.get_sample_value("portal_outside_calls_total", labels) or 0


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (UpstreamError("X", "said no"), "failed"),
        (CredentialsRefused("X", "said no"), "refused"),
        (UpstreamUnavailable("X", "is away", ""), "unavailable"),
        (UpstreamTimeout("X", "is slow", ""), "timeout"),
        (OutcomeUnknown("X", "went silent", ""), "unknown"),
        (InvalidInput("what was typed"), "stopped"),
        (ValueError("a bug"), "failed"),
        (GeneratorExit(), "stopped"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_by_how_they_ended(raised: BaseException, outcome: str) -> None:
    before = counted("test", outcome)
    with pytest.raises(type(raised)), outside.call("test"):
        raise raised
    assert counted("test", outcome) == before + 1


def test_a_call_within_a_call_to_the_same_system_is_a_part_of_it() -> None:
    before = counted("test", "succeeded"), counted("other", "succeeded")
    with outside.call("test"), outside.call("test"), outside.call("other"):
        pass
    with outside.call("test"):
        pass
    assert counted("test", "succeeded") == before[0] + 2
    assert counted("other", "succeeded") == before[1] + 1


def test_a_generator_that_is_dropped_leaves_nothing_open() -> None:
    def rows() -> Iterator[int]:
        with outside.call("test"):
            yield 1

    before = counted("test", "stopped")
    rest = rows()
    next(rest)
    rest.close()
    assert counted("test", "stopped") == before + 1
    with outside.call("test"):
        pass
    assert not outside._open.get()


def test_how_long_is_counted_too() -> None:
    labels = {"system": "timed"}
    with outside.call("timed"):
        pass
    count = metrics.SHARED.get_sample_value("portal_outside_call_seconds_count", labels)
    assert count == 1


def test_what_threads_must_not_begin_to_import_at_once_is_there_before_them() -> None:
    """Two connections were tested at once, and one said "six.moves is not installed"."""
    code = "import sys, backend.core.outside; sys.exit('six' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
