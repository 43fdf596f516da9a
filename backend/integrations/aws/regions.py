"""AWS regions as the SDK's own list knows them."""

_COMMERCIAL = "us-east-1"


def is_known_region(region: str) -> bool:
    """Whether the SDK knows the name; "" counts as known ("no region" has its own sentence).

    The list is shipped with the SDK and grows old: ask only after AWS could not be reached.
    """
    if not region:
        return True
    import boto3

    session = boto3.session.Session()
    return any(
        region in session.get_available_regions("sts", partition_name=partition)
        for partition in session.get_available_partitions()
    )


def first_of(arn: str) -> str:
    """A region of the ARN's partition, for a service that answers alike in all of them: those of
    China and of the US government know nobody of the commercial ones."""
    partition = arn.split(":")[1] if arn.count(":") else "aws"
    if partition == "aws":
        return _COMMERCIAL
    import boto3

    session = boto3.session.Session()
    return next(iter(session.get_available_regions("sts", partition_name=partition)), _COMMERCIAL)
