"""Translates every error of DataHub's SDK into one sentence that says what to do.

A person configures the address of the metadata service (GMS) and a token; nearly every failure is
one of these two, or the network in between. The SDK reports them through six exception families,
wrapped in each other; `translate` looks through the whole chain.
"""

import socket
import ssl
from collections.abc import Callable
from json import JSONDecodeError

import requests
import urllib3

from backend.core.errors import (
    CredentialsRefused,
    InvalidInput,
    OutcomeUnknown,
    PortalError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.datahub import causes
from backend.integrations.network import Place, proxy_of

SYSTEM = "DataHub"

GMS_ADVICE = (
    "Give the address of the metadata service (GMS): usually http://<host>:8080, "
    "or https://<frontend>/api/gms through the web interface."
)
_RETRY_ADVICE = "Try again in a moment; if it stays, look at the metadata service's own log."
_VERSION_ADVICE = "Check that the server's version fits this portal (DataHub 1.x)."
_BY_STATUS: dict[int, tuple[type[UpstreamError], str, str]] = {
    400: (UpstreamError, "it refused the request as invalid", _VERSION_ADVICE),
    401: (
        CredentialsRefused,
        "it does not accept the token (401)",
        "It may be wrong, expired or revoked. Create an access token in DataHub under "
        "Settings → Access Tokens and save it in this connection.",
    ),
    403: (
        UpstreamError,
        "it refuses this to the token's owner (403)",
        "Ask a DataHub administrator to grant the privilege by a policy.",
    ),
    404: (UpstreamError, "it has nothing at this address (404)", GMS_ADVICE),
    405: (UpstreamError, "it does not allow this method at this address (405)", GMS_ADVICE),
    409: (
        UpstreamError,
        "it reports a conflicting change (409)",
        "Read the current state and retry.",
    ),
    412: (UpstreamError, "it reports that the entity changed meanwhile (412)", "Try again."),
    413: (UpstreamError, "it refuses a request of this size (413)", "Send less at once."),
    422: (UpstreamError, "it refused the values as invalid (422)", ""),
    429: (UpstreamUnavailable, "it is limiting requests (429)", "Wait a minute, then try again."),
    500: (UpstreamError, "it failed inside (500)", _RETRY_ADVICE),
    502: (UpstreamUnavailable, "it is not reachable behind its proxy (502)", _RETRY_ADVICE),
    503: (UpstreamUnavailable, "it is not available now (503)", _RETRY_ADVICE),
    504: (UpstreamTimeout, "it did not answer its proxy in time (504)", _RETRY_ADVICE),
}


class UnexpectedAnswer(Exception):
    """The adapter read an answer that has not the agreed shape."""


class NotGms(Exception):
    """`/config` answered with data that lacks what the metadata service says of itself."""


def translate(
    exc: BaseException, *, server: str = "", writing: bool = False, secrets: tuple[str, ...] = ()
) -> PortalError:
    """The error to raise instead of `exc`; an unknown kind is named, never swallowed.

    writing: the request changes something, so a lost answer becomes OutcomeUnknown.
    secrets: texts that must not appear in the message (the token).
    """
    if isinstance(exc, PortalError):
        return exc
    found = _known(exc, server) or UpstreamError(
        SYSTEM, f"an unexpected {type(exc).__name__} came up", _VERSION_ADVICE
    )
    if writing and causes.may_have_happened(exc):
        found = OutcomeUnknown(
            SYSTEM,
            "the change was sent, but its answer never came",
            "It may or may not have happened: look at the entity in DataHub before repeating it.",
        )
    return _without_secrets(found, secrets)


def unusable_address(server: str) -> UpstreamError:
    return UpstreamError(
        SYSTEM,
        f"{causes.shown(server)} is not a usable address",
        "It must begin with http:// or https://. " + GMS_ADVICE,
    )


def unusable_token() -> UpstreamError:
    return UpstreamError(
        SYSTEM,
        "the token holds characters that no token has",
        "Paste it again, without line breaks or spaces.",
    )


def worth_a_retry(exc: BaseException) -> bool:
    """Whether the same read may succeed a moment later."""
    status = causes.status_of(exc)
    if status is not None:
        return status in (502, 503, 504)
    # A second try of what timed out would only wait as long again.
    if causes.timed_out(exc) or causes.find(exc, socket.gaierror, ssl.SSLError):
        return False
    return causes.find(exc, *causes.CONNECTION) is not None


def _known(exc: BaseException, server: str) -> PortalError | None:
    """The first reader that recognises the exception; the most specific come first."""
    readers: tuple[Callable[[BaseException, str], PortalError | None], ...] = (
        _wrong_use,
        _graphql_error,
        _answered_status,
        _other_service,
        _network,
        _sdk_error,
    )
    return next((found for read in readers if (found := read(exc, server)) is not None), None)


def _wrong_use(exc: BaseException, server: str) -> PortalError | None:
    name = causes.sdk_name(exc)
    if name in ("InvalidUrnError", "SchemaFieldKeyError"):
        return InvalidInput(f"{SYSTEM}: not a usable URN or field path: {causes.short(str(exc))}")
    if causes.find(
        exc,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidURL,
        urllib3.exceptions.LocationValueError,
        UnicodeError,
    ):
        return unusable_address(server)
    redirect = causes.find(exc, requests.TooManyRedirects)
    if redirect is not None:
        return UpstreamError(
            SYSTEM,
            f"{causes.shown(server)} sends the request on to {causes.redirected_to(redirect)}",
            "Enter the address that answers itself, without a redirect. " + GMS_ADVICE,
        )
    return unusable_token() if causes.find(exc, requests.exceptions.InvalidHeader) else None


def _graphql_error(exc: BaseException, server: str) -> PortalError | None:
    """A 200 answer with an error list; its code tells what an HTTP status would."""
    if causes.sdk_name(exc) != "GraphError" or not exc.args:
        return None
    errors = exc.args[0]
    if not isinstance(errors, list) or not errors or not isinstance(errors[0], dict):
        said = causes.short(str(errors))
        return UpstreamError(SYSTEM, f"refused the query: {said}", _VERSION_ADVICE)
    first = errors[0]
    extensions = first.get("extensions") or {}
    said = causes.short(str(first.get("message") or "no reason given"))
    if extensions.get("classification") == "ValidationError":
        return UpstreamError(SYSTEM, f"does not know part of the query: {said}", _VERSION_ADVICE)
    code = extensions.get("code")
    if code in (401, 403):
        return _by_status(403, said, server)
    kind = UpstreamUnavailable if code == 503 else UpstreamError
    return kind(SYSTEM, f"answered with an error: {said}", _RETRY_ADVICE if code != 400 else "")


def _answered_status(exc: BaseException, server: str) -> PortalError | None:
    status = causes.status_of(exc)
    if status is None:
        return None
    return _by_status(status, causes.server_message(exc), server)


def _by_status(status: int, said: str, server: str) -> UpstreamError:
    kind, cause, advice = _BY_STATUS.get(
        status, (UpstreamError, f"it answered with status {status}", _RETRY_ADVICE)
    )
    if status == 404:
        cause = f"{causes.shown(server)} has no metadata service at this path (404)"
    if said:
        cause = f"{cause}: {said}"
    return kind(SYSTEM, cause, advice)


def _other_service(exc: BaseException, server: str) -> PortalError | None:
    if causes.find(exc, NotGms):
        return _not_gms(server, "with data of something else: perhaps the web interface")
    if causes.find(exc, JSONDecodeError, requests.exceptions.JSONDecodeError):
        return _not_gms(server, "with a web page, not with data: this looks like the web interface")
    return None


def _not_gms(server: str, how: str) -> UpstreamError:
    return UpstreamError(
        SYSTEM,
        f"{causes.shown(server)} answers {how}, not the metadata service",
        "Add /api/gms to the address, or use the metadata service's own port 8080.",
    )


def _network(exc: BaseException, server: str) -> PortalError | None:
    if causes.find(exc, socket.gaierror, urllib3.exceptions.NameResolutionError):
        return UpstreamUnavailable(
            SYSTEM,
            f"the name in {causes.shown(server)} is not known (DNS)",
            "Check the spelling, and that this machine can resolve the name.",
        )
    certificate = causes.find(exc, ssl.SSLCertVerificationError)
    if certificate is not None:
        return UpstreamUnavailable(
            SYSTEM,
            f"the certificate of {causes.shown(server)} is not trusted "
            f"({getattr(certificate, 'verify_message', '') or 'verification failed'})",
            "Add the issuer's certificate to those of the environment (Connections, Edit), or name "
            "it in PORTAL_CA_BUNDLE.",
        )
    if causes.find(exc, ssl.SSLError, requests.exceptions.SSLError, urllib3.exceptions.SSLError):
        return UpstreamUnavailable(
            SYSTEM,
            f"no secure connection to {causes.shown(server)} came about (TLS)",
            "Check whether the port speaks https at all; a plain port needs http://.",
        )
    if causes.find(exc, requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        proxy = proxy_of(Place.of(server)) or "of this machine"
        return UpstreamUnavailable(
            SYSTEM,
            f"the web proxy {proxy} refused the connection",
            "Check HTTPS_PROXY and NO_PROXY.",
        )
    if causes.find(exc, ConnectionRefusedError):
        return UpstreamUnavailable(
            SYSTEM,
            f"{causes.shown(server)} refuses connections",
            "Check the port, and that the metadata service is running.",
        )
    if causes.timed_out(exc):
        return UpstreamTimeout(
            SYSTEM,
            f"{causes.shown(server)} did not answer in time",
            "Check the address and the firewall between; a busy server may need a longer timeout.",
        )
    if causes.find(exc, *causes.CONNECTION):
        return UpstreamUnavailable(
            SYSTEM, f"the connection to {causes.shown(server)} failed or broke off", _RETRY_ADVICE
        )
    return None


def _sdk_error(exc: BaseException, _server: str) -> PortalError | None:
    """What is left: the SDK's own words, told apart by class."""
    text = causes.short(str(exc))
    name = causes.sdk_name(exc)
    if name in ("ConfigurationError", "MalformedRecipeEnvelope"):
        return UpstreamError(SYSTEM, f"the SDK reports: {text}", GMS_ADVICE)
    if name == "ItemNotFoundError":
        return UpstreamError(SYSTEM, f"does not know it: {text}", "", status=404)
    if name == "AlreadyExistsError":
        return UpstreamError(SYSTEM, f"has it already: {text}", "", status=409)
    if name == "TraceTimeoutError":
        return UpstreamTimeout(SYSTEM, "has not confirmed the change in time", _RETRY_ADVICE)
    if name in _SDK_ERRORS:
        return UpstreamError(SYSTEM, f"the SDK reports: {text}", _VERSION_ADVICE)
    if isinstance(exc, (OSError, urllib3.exceptions.HTTPError)):  # that is all of `requests`
        return UpstreamError(SYSTEM, f"the request failed ({type(exc).__name__})", GMS_ADVICE)
    if isinstance(exc, (UnexpectedAnswer, ValueError, KeyError, TypeError, AttributeError)):
        return UpstreamError(
            SYSTEM, f"answered in a form that is not understood: {text}", _VERSION_ADVICE
        )
    return None


_SDK_ERRORS = frozenset(
    {
        "MetaError",
        "GraphError",
        "OperationalError",
        "PipelineExecutionError",
        "IgnorableError",
        "TraceValidationError",
        "SdkUsageError",
        "MultipleItemsFoundError",
        "MessageTooLargeError",
        "RequiredFieldUnsupportedError",
    }
)


def _without_secrets(error: PortalError, secrets: tuple[str, ...]) -> PortalError:
    for secret in filter(None, secrets):
        if secret not in str(error):
            continue
        if isinstance(error, UpstreamError):
            error = type(error)(
                error.system,
                error.cause.replace(secret, "•••"),
                error.advice.replace(secret, "•••"),
                status=error.status,
            )
        else:
            error = type(error)(error.message.replace(secret, "•••"), status=error.status)
    return error
