"""What can go wrong with the directory, each a sentence that says what to do.

UpstreamError
├ TokenRefused     401, or UNAUTHENTICATED with any status
├ Forbidden        403, or FORBIDDEN with any status: known, but may not list people
├ NotGraphQL       HTML, a redirect, JSON that is no answer
├ BrokenAnswer     cut off, or compressed in a way that was not asked for
├ QueryRefused     errors and no data (.code, .said, .path: the server's own)
│ ├ PageTooLarge   a page of so many is not given
│ ├ UnknownField   the schema has no such field
│ └ NullField      a person without a value that the schema promises (.path says which)
├ RateLimited      429, or a code that says so
├ PartialAnswer    errors beside data: some of the people are missing
├ FirstPage        one answer that looks like a page of more
├ ListMoved        people came, left or changed places while the pages were read
├ EmptyAnswer      no people at all
├ MappingFailed    the mapping finds no people in the answer
└ TooLarge         more bytes or people than the limit
"""

from collections.abc import Sequence

from backend.core.errors import CredentialsRefused, UpstreamError, UpstreamUnavailable

SYSTEM = "Directory"


class TokenRefused(CredentialsRefused):
    def __init__(self, status: int, said: str = "") -> None:
        how = f"HTTP {status}: {said}" if said else f"HTTP {status}"
        super().__init__(
            SYSTEM,
            f"the token was refused ({how})",
            "Enter a valid token, or the secret headers that it asks for, in this environment's "
            "directory connection.",
        )


class Forbidden(UpstreamError):
    def __init__(self, said: str) -> None:
        super().__init__(
            SYSTEM,
            f"the account of this token, or nobody's, may not list people ({said})",
            "Give its account that right in the directory, or enter another token.",
        )


class NotGraphQL(UpstreamError):
    def __init__(self, cause: str) -> None:
        super().__init__(
            SYSTEM, cause, "The endpoint must be the GraphQL address itself, often ending /graphql."
        )


class BrokenAnswer(UpstreamError):
    def __init__(self, cause: str) -> None:
        super().__init__(
            SYSTEM,
            f"its answer cannot be read ({cause})",
            "Try again; where it stays, look at what stands between, such as a proxy.",
        )


class QueryRefused(UpstreamError):
    """code, path: of the server's first error; "" and () when it names none."""

    advice_given = "Compare the query with the server's schema; without one it must answer "
    advice_given += "{ users { email displayName domain } }."

    def __init__(self, said: str, code: str = "", path: Sequence[object] = ()) -> None:
        self.said, self.code, self.path = said, code, tuple(path)
        super().__init__(SYSTEM, self._cause(), self.advice_given)

    def _cause(self) -> str:
        at = f" at {'.'.join(map(str, self.path))}" if self.path else ""
        return f"it refused the query ({': '.join(filter(None, (self.code, self.said)))}{at})"


class PageTooLarge(QueryRefused):
    """A page of so many is not given."""

    advice_given = "Lower “People a page” in this environment's directory connection."


class UnknownField(QueryRefused):
    """The schema has no such field, or no longer."""

    advice_given = "Take the field out of the query, or write the name that the schema has now."

    def _cause(self) -> str:
        return f"its schema does not have what the query asks for ({self.said})"


class NullField(QueryRefused):
    """A person without a value that the schema promises; the path says which."""

    advice_given = "Complete that person in the directory; until then it answers nobody at all."

    def _cause(self) -> str:
        number = next((part for part in self.path if isinstance(part, int)), None)
        who = "somebody" if number is None else f"person number {number + 1} of the answer"
        at = ".".join(map(str, self.path))
        return f"{who} has no value for a field that must have one ({self.said}, {at or 'no path'})"


class RateLimited(UpstreamUnavailable):
    def __init__(self, said: str) -> None:
        super().__init__(
            SYSTEM, f"it limits the number of requests ({said})", "Plan again in a few minutes."
        )


class PartialAnswer(UpstreamError):
    def __init__(self, said: str) -> None:
        super().__init__(
            SYSTEM,
            f"it answered with errors beside the data ({said})",
            "A part of the people is never compared as if it were all; try again.",
        )


class FirstPage(UpstreamError):
    def __init__(self, why: str) -> None:
        super().__init__(
            SYSTEM,
            f"this may be only the first page of its people ({why})",
            "Let the query turn pages, by $first and $after with pageInfo { hasNextPage endCursor }"
            ", or by $limit and $offset; or let it ask for totalCount.",
        )


class ListMoved(UpstreamError):
    def __init__(self) -> None:
        super().__init__(
            SYSTEM,
            "its list moved while it was read: a page does not go on where the one before it ended",
            "Plan again. Where it happens each time, let the query ask for a fixed order, such as "
            "order_by: {id: asc}, or page by cursor.",
        )


class MappingFailed(UpstreamError):
    def __init__(self, cause: str) -> None:
        super().__init__(
            SYSTEM,
            cause,
            "Write a JMESPath expression that gives a list of people, like "
            "users[].{email: mail, displayName: name, domain: department}.",
        )


class EmptyAnswer(UpstreamError):
    def __init__(self) -> None:
        super().__init__(
            SYSTEM, "it named no people at all", "Check the directory before planning again."
        )


class TooLarge(UpstreamError):
    def __init__(self, what: str) -> None:
        super().__init__(SYSTEM, f"the answer is larger than {what}", "Check the endpoint.")
