"""What things are called for people."""


def dataset_name(urn: str) -> str:
    """The name inside a dataset URN, as people know it."""
    return urn.split(",", 1)[-1].rsplit(",", 1)[0]
