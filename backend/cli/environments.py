"""`python -m backend environments`."""

from backend.cli.common import new_app

app = new_app("environments")
