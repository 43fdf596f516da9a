"""`python -m backend`."""

import os
import signal
import sys

if sys.argv[1:2] == ["worker"]:
    # Until the worker listens to it itself (backend/jobs/worker.py) there is nothing to end.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from backend.cli.main import main

if __name__ == "__main__":
    os.umask(0o077)  # what a command writes is its owner's alone
    sys.exit(main())
