"""REST (FastAPI): thin endpoints over the rooms' services."""
