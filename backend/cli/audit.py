"""`python -m backend audit`."""

from backend.cli.common import new_app

app = new_app("audit")
