"""A request that the stand-in turns down; each surface puts it into its own words."""


class Refused(Exception):
    """status: HTTP status (GraphQL: the error's code). message: as DataHub would say it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
