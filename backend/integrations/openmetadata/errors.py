"""What can go wrong with OpenMetadata, each a sentence that says what to do.

UpstreamError
├ TokenRefused     401: missing, invalid or expired (with the time read from the token)
├ Denied           403: the operation, role, policy and rule that refused
├ AccountGone      the token is valid, its user is not there any more
├ EmailsMasked     200, but every e-mail is hidden from this caller
├ TooOld           a version before the ones that can be written to
├ LostDomain       a listing that one user's deleted domain breaks for everybody
├ Throttled        429
├ Refused          any other status
└ WrongAddress     HTML, a redirect or no OpenMetadata at all
NotThere (NotFound 404) · Moved (Conflict 409, HTTP 412)
"""

import re
from datetime import datetime

from backend.core import clock
from backend.core.errors import Conflict, CredentialsRefused, NotFound, UpstreamError

SYSTEM = "OpenMetadata"
#: The oldest version whose users have a list of domains and whose rules are known.
NEEDED = "1.9"

_DENIED = re.compile(
    r"operations? \[?(?P<operation>\w+)\]? (?:not allowed|denied)"
    r"(?: by role (?P<role>[^,]+), policy (?P<policy>[^,]+), rule (?P<rule>\S+))?"
)


class TokenRefused(CredentialsRefused):
    def __init__(self, said: str, expired_at: datetime | None) -> None:
        if expired_at is not None and expired_at <= clock.now():
            cause = f"the token expired on {expired_at:%Y-%m-%d at %H:%M} UTC"
        else:
            cause = f"the token was refused ({said})"
        super().__init__(SYSTEM, cause, "Enter a new token in this environment's connection.")
        self.expired_at = expired_at


class AccountGone(UpstreamError):
    """404 to every call: OpenMetadata knows the token, but no longer the user it belongs to."""

    def __init__(self, said: str) -> None:
        super().__init__(
            SYSTEM,
            f"the token is valid, but its account is deleted or unknown ({said})",
            "Restore the account there, or enter the token of another one.",
        )


class EmailsMasked(UpstreamError):
    """The server answers 200 with `********@masked.com` to callers who are neither admin nor bot:
    nobody would match, and nothing would look wrong."""

    def __init__(self, principal: str = "") -> None:
        who = f"the account {principal}" if principal else "this token's account"
        super().__init__(
            SYSTEM,
            f"{who} may not see e-mail addresses, the server masks every one",
            "Use the token of an admin account that is not a bot.",
        )


class TooOld(UpstreamError):
    def __init__(self, version: str) -> None:
        super().__init__(
            SYSTEM,
            f"its version is {version}, and {NEEDED} or newer is needed: before, a user has one "
            "domain instead of a list",
            "Upgrade the server; docs/user-sync.md lists what works with which version.",
        )


class LostDomain(UpstreamError):
    """A user refers to a domain that was deleted, and the server refuses the whole listing."""

    def __init__(self, listing: str, domain: str) -> None:
        super().__init__(
            SYSTEM,
            f"it cannot list {listing}: some user belongs to the domain {domain}, which is deleted",
            "Restore that domain there, or take it away from the user it is left at.",
        )


class Denied(UpstreamError):
    """403; operation, policy and rule are empty when the server does not name them."""

    def __init__(self, said: str) -> None:
        found = _DENIED.search(said)
        parts = {k: (v or "").strip() for k, v in (found.groupdict() if found else {}).items()}
        self.operation = parts.get("operation", "")
        self.policy = parts.get("policy", "")
        self.rule = parts.get("rule", "")
        if self.policy:
            cause = (
                f"{self.operation} is denied by policy {self.policy}, rule {self.rule} "
                f"(role {parts.get('role', '')})"
            )
        else:
            cause = f"the token may not do this ({said})"
        if self.policy == "DefaultBotPolicy":
            advice = (
                "Every bot carries this rule: use the token of a technical admin account "
                "that is not a bot."
            )
        else:
            advice = "Use a token whose role allows EditAll on users."
        super().__init__(SYSTEM, cause, advice)


class Throttled(UpstreamError):
    """429; retry_after in seconds, as the server asked."""

    def __init__(self, retry_after: float | None) -> None:
        wait = f" and asks to wait {retry_after:g} s" if retry_after else ""
        super().__init__(SYSTEM, f"it limits the number of requests{wait}", "Try again later.")
        self.retry_after = retry_after


class Refused(UpstreamError):
    """Another status that has no class of its own; answered: the server's."""

    def __init__(self, answered: int, said: str, advice: str) -> None:
        super().__init__(SYSTEM, f"HTTP {answered} {said}".strip(), advice)
        self.answered = answered


class WrongAddress(UpstreamError):
    def __init__(self, cause: str) -> None:
        super().__init__(
            SYSTEM, cause, "The address must be the server's own and end in /api, no slash after."
        )


class NotThere(NotFound):
    """404: no such user or domain; soft-deleted users count as gone."""

    def __init__(self, said: str) -> None:
        super().__init__(f"OpenMetadata has no such thing ({said}).")
        self.said = said


class Moved(Conflict):
    """412: somebody changed the user between our read and our write."""

    def __init__(self) -> None:
        super().__init__("OpenMetadata: the user was changed meanwhile. Plan again to see how.")
