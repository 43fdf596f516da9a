"""`python -m backend tokenize`."""

from backend.cli.common import new_app

app = new_app("tokenize")
