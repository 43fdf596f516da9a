"""A SIGTERM is an order that was obeyed: the process ends with status 0, at its start, too.

Importing this module is all there is to do. Left alone, uvicorn stops the server in order and then
raises the signal again, and a supervisor reads the 143 that comes of it as a failure.
`python -m auth.serve` covers the time before uvicorn listens.
"""

import os
import signal
from typing import Any

import uvicorn

from backend.core import last_resort, signals


def _install() -> uvicorn.Server | None:
    """Under a server that listens to the signal: ask it for the same end, and forget the signal."""
    current: Any = signal.getsignal(signal.SIGTERM)
    server = getattr(current, "__self__", None)
    if isinstance(server, uvicorn.Server):
        if server.should_exit:  # it came before this line, and nothing has been started
            os._exit(0)

        def end() -> None:
            if not last_resort.begun.is_set():
                os._exit(0)
            server.should_exit = True
            last_resort.end_at_the_latest()

        signals.call_on([signal.SIGTERM], end)
        return server
    return None


#: The server that loads the portal; None in a test, or under another one than uvicorn.
SERVER = _install()
