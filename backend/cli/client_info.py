"""`python -m backend refresh_client_info`."""


def refresh_client_info() -> None:
    """Filled by its room."""
