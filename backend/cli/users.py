"""`python -m backend users`."""

from backend.cli.common import new_app

app = new_app("users")
