"""Job kinds for tests, on the in-process broker."""

import threading
from collections.abc import Iterator

import pytest

from backend.jobs import broker, registry, runner
from backend.jobs.registry import JobContext, job


@pytest.fixture(autouse=True)
def fresh_broker() -> Iterator[None]:
    broker.reset()
    runner.stopping.clear()
    # Only those of the test go: another module's, registered at its import, come only once.
    before = set(registry._kinds)
    yield
    for name in set(registry._kinds) - before:
        if name.startswith("test."):
            del registry._kinds[name]
    runner.stopping.clear()
    broker.reset()


@pytest.fixture
def kinds() -> dict[str, threading.Event]:
    """test.count, test.fail, test.bug, test.wait (until the event "go"), test.resume."""
    events = {"started": threading.Event(), "go": threading.Event()}

    @job("test.count", title="Count")
    def count(ctx: JobContext, *, to: int) -> dict[str, int]:
        for number in range(to):
            ctx.progress(number + 1, to, note="counting")
        ctx.log("counted")
        return {"counted": to}

    @job("test.fail", title="Fail")
    def fail(ctx: JobContext) -> None:
        from backend.core.errors import UpstreamUnavailable

        raise UpstreamUnavailable("Somewhere", "nobody is there", "Try later.")

    @job("test.told", title="Tell of a failure")
    def told(ctx: JobContext) -> dict[str, object]:
        return {"rows": 3, "failed": "Three rows and then nothing."}

    @job("test.print", title="Print")
    def prints(ctx: JobContext) -> None:
        line = "row \x001\udcff"
        ctx.progress(1, note=line)
        ctx.log(line)

    @job("test.bug", title="Bug")
    def bug(ctx: JobContext) -> None:
        raise KeyError("planted-secret")

    def wait(ctx: JobContext) -> dict[str, int]:
        events["started"].set()
        while not events["go"].wait(0.02):
            ctx.check_cancelled()
        return {"attempt": ctx.attempt}

    job("test.wait", title="Wait")(wait)
    job("test.resume", title="Wait and resume", resumable=True)(wait)
    return events
