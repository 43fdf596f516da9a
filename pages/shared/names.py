"""What things are called for people."""

import re

_URN = re.compile(
    r"urn:li:(?:dataset:\(urn:li:dataPlatform:|dataJob:\(urn:li:dataFlow:\()[^()\s]{1,2000}\)"
    r"(?:,[^()\s]{1,500}\))?"
)


def urn_name(urn: str) -> str:
    """The name of a dataset or of a data job, as people know it."""
    if urn.startswith("urn:li:dataJob:"):
        return urn.rsplit(",", 1)[-1].removesuffix(")")
    return dataset_name(urn)


def with_names(text: str) -> str:
    """A sentence with the names of the datasets and data jobs in it, in place of their URNs."""
    return _URN.sub(lambda found: urn_name(found[0]), text)


def dataset_name(urn: str) -> str:
    """The name inside a dataset URN, as people know it."""
    return urn.split(",", 1)[-1].rsplit(",", 1)[0]
