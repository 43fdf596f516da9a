"""The sandbox's own process: `python -m backend.sandbox FOLDER`."""

import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import NoReturn

from backend.core import log, signals
from backend.core.errors import PortalError
from backend.sandbox import parts, process

#: How often it looks whether a command has left the sandbox.
LOOK_SECONDS = 2.0
logger = log.get_logger(__name__)


def main() -> NoReturn:
    """Start the parts, report them on stdout, wait for stdin to close or the sandbox to be left."""
    log.configure("WARNING")
    folder = Path(sys.argv[1]).absolute()
    left_before = process.left(folder)
    # Whatever a library prints goes to the log; stdout belongs to the one report line.
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    done = threading.Event()
    signals.call_on((signal.SIGTERM, signal.SIGINT), done.set)
    threading.Thread(target=_wait_for_parent, args=(done,), daemon=True).start()
    # Kept open to the end: a part's own process may be tied to the life of the starting thread.
    pool = ThreadPoolExecutor(max_workers=len(parts.PARTS))
    started, problems = _start_all(pool, folder, done)
    if done.is_set():
        _leave(started)
    report.write(
        json.dumps(
            {
                "connections": [
                    {"kind": p.kind, "settings": dict(p.settings), "secrets": dict(p.secrets)}
                    for p in started
                ],
                "problems": problems,
            }
        )
        + "\n"
    )
    report.flush()
    while not done.wait(LOOK_SECONDS) and process.left(folder) == left_before:
        continue
    _leave(started)


def _leave(started: list[parts.Part]) -> NoReturn:
    """Stop what runs and end, without waiting for a part that is still being started: its
    processes end with the thread that starts them, and what it has half made it makes again."""
    for part in reversed(started):
        _stop(part)
    os._exit(0)


def _start_all(
    pool: ThreadPoolExecutor, folder: Path, done: threading.Event
) -> tuple[list[parts.Part], list[str]]:
    """Start every part side by side; one that fails is named and does not stop the others.

    Gives up when `done` is set: the answer is then what had been started.
    """
    started: list[parts.Part] = []
    problems: list[str] = []
    waiting = {name: pool.submit(parts.start, name, folder) for name in parts.PARTS}
    pending = set(waiting.values())
    while pending and not done.is_set():
        _, pending = wait(pending, timeout=0.2)
    for name, future in waiting.items():
        if not future.done():
            continue
        try:
            started.append(future.result())
        except PortalError as exc:
            problems.append(f"{name}: {exc.message}")
        except Exception as exc:
            # The sandbox is worth having without one of its parts; the log has the reason.
            reference = log.log_unexpected(logger, "A sandbox part did not start.", exc)
            problems.append(f"{name} did not start (reference {reference})")
    return started, problems


def _stop(part: parts.Part) -> None:
    try:
        part.stop()
    except Exception as exc:
        # The process ends anyway; the other parts still want their turn.
        log.log_unexpected(logger, "A sandbox part did not stop cleanly.", exc, kind=part.kind)


def _wait_for_parent(done: threading.Event) -> None:
    while sys.stdin.buffer.read(1024):
        continue
    done.set()


if __name__ == "__main__":
    main()
