"""What a signal starts takes no lock in the signal's handler."""

import subprocess
import sys

import pytest

from tests.architecture.source import modules

#: Where a handler is set by other ways, and why that is safe: it ends the process, or is the rule.
SETS_HANDLERS = {
    "auth.serve": "before anything is imported",
    "backend.__main__": "before anything is imported",
    "backend.core.signals": "the rule itself",
}
#: The main thread stands where `Event.wait()`, or the start of a thread, stands for a moment.
HELD = """
import os, signal, threading
from backend.core import signals
done = threading.Event()
signals.call_on([signal.{name}], done.set)
with {lock}:
    os.kill(os.getpid(), signal.{name})
    for _ in range(1_000):  # the handler has run
        pass
assert done.wait(60)
print("ended")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("lock", ["done._cond", "threading._active_limbo_lock"])
def test_a_signal_is_obeyed_whatever_lock_the_main_thread_holds(name: str, lock: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HELD.format(name=name, lock=lock)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "ended"), ran.stderr[-2_000:]


def test_nobody_sets_a_handler_in_another_way() -> None:
    found = {each.name for each in modules().values() if "signal.signal(" in each.path.read_text()}
    assert found == set(SETS_HANDLERS)
