"""What can go wrong with the directory, each a sentence that says what to do.

UpstreamError
├ TokenRefused     401 or 403
├ NotGraphQL       HTML, a redirect, JSON that is no GraphQL answer
├ QueryRefused     errors and no data: the schema has no users, email, displayName or domain
├ PartialAnswer    errors beside data: some of the people are missing
├ EmptyAnswer      no people at all
└ TooLarge         more bytes or people than the limit
"""

from backend.core.errors import UpstreamError

SYSTEM = "Directory"


class TokenRefused(UpstreamError):
    def __init__(self, status: int) -> None:
        super().__init__(
            SYSTEM,
            f"the token was refused (HTTP {status})",
            "Enter a valid bearer token in this environment's directory connection.",
        )


class NotGraphQL(UpstreamError):
    def __init__(self, cause: str) -> None:
        super().__init__(
            SYSTEM, cause, "The endpoint must be the GraphQL address itself, often ending /graphql."
        )


class QueryRefused(UpstreamError):
    def __init__(self, said: str) -> None:
        super().__init__(
            SYSTEM,
            f"it refused the query ({said})",
            "The server must answer { users { email displayName domain } }.",
        )


class PartialAnswer(UpstreamError):
    def __init__(self, said: str) -> None:
        super().__init__(
            SYSTEM,
            f"it answered with errors beside the data ({said})",
            "A part of the people is never compared as if it were all; try again.",
        )


class EmptyAnswer(UpstreamError):
    def __init__(self) -> None:
        super().__init__(
            SYSTEM, "it named no people at all", "Check the directory before planning again."
        )


class TooLarge(UpstreamError):
    def __init__(self, what: str) -> None:
        super().__init__(SYSTEM, f"the answer is larger than {what}", "Check the endpoint.")
