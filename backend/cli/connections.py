"""`python -m backend connections`."""

from backend.cli.common import new_app

app = new_app("connections")
