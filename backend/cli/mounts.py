"""`python -m backend mounts`."""

from backend.cli.common import new_app

app = new_app("mounts")
