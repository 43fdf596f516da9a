"""`python -m backend`."""

import os
import sys

from backend.cli.main import main

if __name__ == "__main__":
    os.umask(0o077)  # what a command writes is its owner's alone
    sys.exit(main())
