"""A process that was told to stop ends in time, whatever it waits for.

Python waits at its exit, without a limit, for a tick of the schedule or a job's pool of threads
that asks a server which does not answer; a web server before that for the answers under way.
"""

import os
import threading

from backend.core.log import get_logger

log = get_logger(__name__)

#: When it ends at the latest: compose and systemd kill after 30 s.
END_SECONDS = 20.0
#: Set once the portal touches its state. Before that there is nothing to end in order, and what is
#: still imported takes seconds on a busy machine.
begun = threading.Event()


def end_at_the_latest() -> None:
    """End this process with status 0 in END_SECONDS, unless it ends by itself before."""

    def end() -> None:
        log.warning("Ends with work under way; who runs jobs next takes it back.")
        os._exit(0)

    timer = threading.Timer(END_SECONDS, end)
    timer.daemon = True
    timer.start()
