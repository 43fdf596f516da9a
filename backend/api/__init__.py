"""REST (FastAPI): thin endpoints over the domains' services."""
