"""`python -m backend …`: thin commands over the rooms' services."""
