"""`python -m backend`."""

import sys

from backend.cli.main import main
from backend.core import private

if __name__ == "__main__":
    private.umask()
    sys.exit(main())
