"""`python -m backend …`: thin commands over the domains' services."""
