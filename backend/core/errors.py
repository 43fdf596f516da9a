"""Every error a person may see, as one tree.

PortalError(message, status)            safe to show; written for the person in front of the page
├ InvalidInput 400
│ ├ FieldInvalid 422                    names the fields of what was typed
│ └ UnknownChoice 400                   a word that is none of the few it can be
├ NotAuthenticated 401
├ NotPermitted 403
├ NotFound 404
├ Conflict 409                          stale, already running, changed by somebody else
├ TooMuch 413                           narrow your filters
├ InvalidPayload 422                    the shape of a payload
├ TooManyAttempts 429                   wait before the next try
├ UpstreamError 502                     an outside system answered wrongly   (.system, .advice)
│ ├ CredentialsRefused 502              it does not accept this user, password, key or token
│ ├ UpstreamUnavailable 503             it cannot be reached
│ │ └ NothingListens 503                nobody takes connections at that port
│ └ UpstreamTimeout 504                 it did not answer in time
├ OutcomeUnknown 504                    a write was sent and no answer came: it may have happened
└ JobError 500                          raised in jobs
Waiting 202                             filed as a change request; not an error
SettingsError                           at start-up: every problem at once
anything else                           a bug: never shown raw, logged under a reference

Domains subclass by what happened and build their own message; ids stay as attributes.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class PortalError(Exception):
    """Base of every error whose text may be shown to a person.

    message: one clear sentence: what was wrong, where, what to do.
    status: the HTTP status that the REST face answers with.
    """

    status = 500

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        return self.message


class InvalidInput(PortalError):
    status = 400


class FieldInvalid(InvalidInput):
    """problems: field -> what is wrong with it, a sentence for the place next to the field."""

    status = 422

    def __init__(self, problems: Mapping[str, str], message: str = "") -> None:
        super().__init__(message or " ".join(dict.fromkeys(problems.values())))
        self.problems = dict(problems)


class UnknownChoice(InvalidInput):
    """A word that is none of the few it can be (`core.choices`); wrong usage of a command.

    400: a parameter whose words are in the OpenAPI document is refused with 422 before.
    """


class NotAuthenticated(PortalError):
    status = 401


class NotPermitted(PortalError):
    status = 403


class NotFound(PortalError):
    status = 404


class Conflict(PortalError):
    status = 409


class TooMuch(PortalError):
    status = 413


class InvalidPayload(PortalError):
    status = 422


class TooManyAttempts(PortalError):
    status = 429


class UpstreamError(PortalError):
    """An outside system answered wrongly.

    system: the name people use for it ("OpenMetadata"). cause: what happened.
    advice: what to do, one sentence; may be empty.
    """

    status = 502

    def __init__(
        self, system: str, cause: str, advice: str = "", *, status: int | None = None
    ) -> None:
        sentence = f"{system}: {cause}".rstrip(".") + "."
        super().__init__(f"{sentence} {advice}".strip(), status=status)
        self.system = system
        self.cause = cause
        self.advice = advice


class CredentialsRefused(UpstreamError):
    """The outside system does not accept this user, password, key or token."""


class WrongSystem(UpstreamError):
    """Something answers at that address, and it is another system."""


class UpstreamUnavailable(UpstreamError):
    status = 503


class NothingListens(UpstreamUnavailable):
    """The machine is there, and nobody takes connections at that port."""


class UpstreamTimeout(UpstreamError):
    status = 504


class OutcomeUnknown(UpstreamError):
    """A write was sent and its answer never came: it may or may not have happened."""

    status = 504


class JobError(PortalError):
    status = 500


class Waiting(Exception):
    """What was asked needs an approval: it was filed as a change request, and nothing was done.

    No PortalError, so that whoever handles a refusal does not take it for one: it goes up to the
    edge (page, REST, command, job), whose unit of work commits, because the request is in it.

    message: for a person. document: {status: "waiting", change, change_id, runId, …} for machines,
    with the request's own state, which is past waiting when the same was asked for before.
    secret: what was just made for whoever asks, shown this once; "" nearly always.
    """

    status = 202
    secret = ""

    def __init__(self, message: str, document: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.message = message
        self.document = dict(document)


class SettingsError(Exception):
    """The environment cannot be used; lists every problem at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))
