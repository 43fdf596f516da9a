"""`python -m backend ingest`."""

from backend.cli.common import new_app

app = new_app("ingest")
