"""AWS regions as the SDK's own list knows them."""


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
