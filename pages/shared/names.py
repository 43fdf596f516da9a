"""What things are called for people."""


def urn_name(urn: str) -> str:
    """The name of a dataset or of a data job, as people know it."""
    if urn.startswith("urn:li:dataJob:"):
        return urn.rsplit(",", 1)[-1].removesuffix(")")
    return dataset_name(urn)


def dataset_name(urn: str) -> str:
    """The name inside a dataset URN, as people know it."""
    return urn.split(",", 1)[-1].rsplit(",", 1)[0]
