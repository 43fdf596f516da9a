"""botocore's exceptions as sentences a person can act on.

One table maps AWS's error codes, one context manager translates everything else. `starting=True`
marks a call that changes something: when its answer is lost, nobody knows whether it happened, so
OutcomeUnknown is raised and nothing is sent again.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from backend.core import outside
from backend.core.database import storable
from backend.core.errors import (
    CredentialsRefused,
    OutcomeUnknown,
    PortalError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations import network
from backend.integrations.network import Place


class AwsRefused(UpstreamError):
    """AWS answered and said no."""


class AwsThrottled(UpstreamUnavailable):
    """AWS limits the rate of calls; nothing was started."""


class AwsNotFound(UpstreamError):
    """The function, state machine, execution or log group does not exist there."""

    status = 404


class AwsDenied(AwsRefused):
    """The credentials are known and lack the right."""


class AwsCredentials(AwsRefused, CredentialsRefused):
    """No usable credentials."""


class AwsExists(AwsRefused):
    """An execution of that name exists already; look it up."""

    status = 409


_THROTTLED = {
    "TooManyRequestsException",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "EC2ThrottledException",
    "ExecutionLimitExceeded",
    "LimitExceededException",
    "SlowDown",
    "PriorRequestNotComplete",
    "KmsThrottlingException",
}
_MISSING = {
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
    "StateMachineDeleting",
    "ExecutionDoesNotExist",
    "NoSuchEntity",
}
_CREDENTIALS = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "AuthFailure",
    "TokenRefreshRequired",
    "InvalidToken",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
_EXPIRED_ADVICE = (
    "Temporary credentials have ended: sign in again (`aws sso login`) or set new ones on the aws "
    "connection, all three parts. They are read anew at the next call."
)
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
    "NotAuthorized",
    "KMSAccessDeniedException",
    "KmsAccessDeniedException",
}
#: The beginnings of Invoke's own 5xx that say why the function could not be set up: it did not run.
#: Of any other (ServiceException, InternalFailure) nobody says how far the call came.
_NOT_SET_UP = ("EC2", "EFS", "ENI", "Invalid", "KMS", "ResourceNotReady", "SubnetIP")
_TOO_LARGE = {"RequestTooLargeException", "RequestEntityTooLargeException"}


@contextlib.contextmanager
def translated(
    system: str, *, subject: str, region: str, starting: bool = False, undone: str = ""
) -> Iterator[None]:
    """Turn what botocore raises inside into the portal's errors.

    system: "AWS Lambda". subject: what was asked for, in words. starting: the call changes things.
    undone: what is then so when AWS did not take it.
    """
    from botocore.exceptions import BotoCoreError, ClientError, UndefinedModelAttributeError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    if starting and not undone:
        undone = "Nothing was started."
    with outside.call("aws"):
        try:
            yield
        except PortalError:
            raise
        except ClientError as exc:
            raise _from_answer(exc, system, subject, region, starting, undone) from exc
        except (BotoCoreError, ResponseParserError, UndefinedModelAttributeError) as exc:
            raise _from_transport(exc, system, subject, region, starting, undone) from exc
        except OSError as exc:
            if exc.filename is None:
                raise _from_broken_answer(exc, system, subject, starting) from exc
            # A credential that this machine keeps in a file or gets from a program: read before a
            # call.
            raise _from_machine(exc, system) from exc
        except HTTPError as exc:
            # Of the stream that a payload is: botocore passes on what urllib3 says of TLS there.
            raise _from_broken_answer(exc, system, subject, starting) from exc
        except KeyError as exc:
            # Well-formed XML of a web page: botocore's parser looks up what only AWS puts into it.
            raise _from_broken_answer(exc, system, subject, starting) from exc


def error_code(exc: Any) -> str:
    """AWS's own word for what was wrong ("ResourceNotFoundException")."""
    return str(exc.response.get("Error", {}).get("Code", ""))


def _from_answer(
    exc: Any, system: str, subject: str, region: str, starting: bool, undone: str
) -> UpstreamError:
    code = error_code(exc)
    status = int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    said = storable(" ".join(str(exc.response.get("Error", {}).get("Message", "")).split())[:300])
    if code in _THROTTLED or status == 429:
        return AwsThrottled(
            system,
            f"{subject} was refused by the rate limit ({code or status})",
            f"{undone} Wait a moment and try again.".strip(),
        )
    if code in _MISSING:
        return AwsNotFound(
            system,
            f"{subject} does not exist in {region}",
            "Correct the mapping rule, or the region of the aws connection.",
        )
    if code in _CREDENTIALS:
        return AwsCredentials(
            system,
            f"the credentials were refused ({code})",
            _EXPIRED_ADVICE
            if code in _EXPIRED
            else "Check the aws connection's keys and role, and the clock of this machine.",
        )
    if code in _TOO_LARGE or status == 413:
        cause = f"the payload for {subject} is too large"
        return AwsRefused(system, cause, "Shorten it.", status=422)
    if code == str(status) and status < 500:
        return _from_between(system, subject, status, undone)
    if code in _DENIED or status == 403:
        return AwsDenied(
            system,
            f"the credentials may not use {subject} ({code or status}: {said})",
            "Ask the AWS account's owner for that right.",
        )
    if code == "ExecutionAlreadyExists":
        return AwsExists(system, f"{subject} exists already", "Look it up instead of starting it.")
    if status >= 500:
        return _from_5xx(code, status, said, system, subject, starting, undone)
    return AwsRefused(
        system,
        f"{subject} was refused ({code or status}: {said})",
        "Correct what the sentence names and try again.",
    )


def _from_between(system: str, subject: str, status: int, undone: str) -> UpstreamError:
    """A code that is only the number: no AWS service wrote this answer, so it says nothing of AWS's
    rights or names, and may change by itself."""
    return UpstreamUnavailable(
        system,
        f"not AWS, but something on the way to it (a proxy, a gateway, a firewall) answered "
        f"{status} for {subject}",
        f"{undone} Check endpoint_url, the proxy, and what stands between.".strip(),
    )


def _from_5xx(
    code: str, status: int, said: str, system: str, subject: str, starting: bool, undone: str
) -> UpstreamError:
    # What stands between (see `_from_between`) does not know what AWS made of the request.
    by_aws = code != str(status)
    refused = code.startswith(_NOT_SET_UP) or (by_aws and status == 503)
    if starting and not refused:
        who, said = ("AWS", f" ({code}: {said})") if by_aws else ("a gateway", "")
        return OutcomeUnknown(
            system,
            f"{who} answered {status} for {subject}{said}; AWS may have accepted the call",
            "It is not sent again. Its outcome is looked for.",
        )
    if status in (503, 504):
        return UpstreamUnavailable(
            system, f"{subject} is not available ({code or status}: {said})", "Try again later."
        )
    cause = f"{subject} failed inside AWS ({code or status}: {said})"
    if starting:
        return AwsRefused(system, cause, f"{undone} Try again later.".strip())
    return UpstreamError(system, cause, "Try again later.")  # no refusal: the next time it may work


def _from_transport(
    exc: Exception, system: str, subject: str, region: str, starting: bool, undone: str
) -> UpstreamError:
    from botocore import exceptions as b
    from botocore.parsers import ResponseParserError

    lacking = _from_settings(exc, system)
    if lacking is not None:
        return lacking
    never_sent = b.ConnectTimeoutError | b.EndpointConnectionError | b.ProxyConnectionError
    if isinstance(exc, never_sent) or (
        isinstance(exc, b.SSLError) and network.while_connecting(exc)
    ):
        asked = str(getattr(exc, "kwargs", {}).get("endpoint_url", ""))
        found = network.explain(exc, system, Place.of(asked or f"{system} in {region}"))
        if found is not None:
            advice = f"{undone} {found.advice}".strip()
            return type(found)(system, found.cause, advice)
        return UpstreamUnavailable(
            system,
            f"it cannot be reached in {region} ({_first_line(exc)})",
            f"{undone} Check the network, the proxy, the region and endpoint_url.".strip(),
        )
    broken = b.HTTPClientError | b.ConnectionError | b.IncompleteReadError | ResponseParserError
    if isinstance(exc, broken):
        return _from_broken_answer(exc, system, subject, starting)
    if isinstance(exc, b.ParamValidationError | b.ValidationError):
        return AwsRefused(
            system,
            f"{subject} is not a name AWS accepts ({_first_line(exc)})",
            "Correct the mapping rule.",
        )
    return AwsRefused(system, f"{subject}: {_first_line(exc)}", "Check the aws connection.")


def _from_settings(exc: Exception, system: str) -> UpstreamError | None:
    """What this machine or the connection lacks before anything can be asked."""
    from botocore import exceptions as b

    no_credentials = (
        b.NoCredentialsError
        | b.CredentialRetrievalError
        | b.MetadataRetrievalError
        | b.RefreshWithMFAUnsupportedError
    )
    if isinstance(exc, b.ProfileNotFound):
        profile = getattr(exc, "kwargs", {}).get("profile", "")
        return AwsCredentials(
            system,
            f"this machine's AWS files have no profile {profile}",
            "Correct the connection's profile (or AWS_PROFILE), or add it to ~/.aws/config.",
        )
    if isinstance(exc, b.ConfigParseError | b.ConfigNotFound | b.InvalidConfigError):
        return AwsCredentials(
            system, f"this machine's AWS files cannot be used ({_first_line(exc)})", "Correct them."
        )
    signed_out = b.SSOError | b.TokenRetrievalError | b.NoAuthTokenError | b.LoginError
    if isinstance(exc, signed_out):
        return AwsCredentials(
            system,
            f"the sign-in that the AWS profile depends on is missing or has expired "
            f"({_first_line(exc)})",
            "Run `aws sso login` (or `aws login`) for that profile as the portal's own user; the "
            "next call takes it.",
        )
    if isinstance(exc, b.PartialCredentialsError):
        return AwsCredentials(
            system, f"half of the credentials is missing ({_first_line(exc)})", "Set both halves."
        )
    if isinstance(exc, no_credentials):
        return AwsCredentials(
            system,
            f"no usable credentials were found ({_first_line(exc)})",
            "Set access_key_id and secret_access_key on the aws connection, or give this machine "
            "a role, profile or AWS_ACCESS_KEY_ID. It is looked for anew at the next call.",
        )
    if isinstance(exc, b.NoRegionError | b.UnknownRegionError | b.InvalidRegionError):
        return AwsRefused(
            system,
            "no valid region is set",
            "Set `region` on the aws connection or DATAHUB_INGESTION_LAMBDA_REGION.",
        )
    return None


def _from_machine(exc: OSError, system: str) -> UpstreamError:
    path = exc.filename or "a file"
    why = (exc.strerror or type(exc).__name__).lower()
    return AwsCredentials(
        system,
        f"{path}, which the credentials of this machine come from, cannot be used: {why}",
        "Correct AWS_WEB_IDENTITY_TOKEN_FILE, or the profile's web_identity_token_file or "
        "credential_process.",
    )


def _from_broken_answer(exc: Exception, system: str, subject: str, starting: bool) -> UpstreamError:
    """The request was on its way when the line or the answer broke."""
    from botocore.exceptions import ReadTimeoutError

    if starting:
        return OutcomeUnknown(
            system,
            f"no readable answer came for {subject} ({_broken(exc)})",
            "It may have been accepted, so it is not sent again. Its outcome is looked for.",
        )
    if isinstance(exc, ReadTimeoutError):
        return UpstreamTimeout(system, f"{subject} was not answered in time", "Try again later.")
    return UpstreamUnavailable(
        system,
        f"asking for {subject} failed, {_broken(exc)}",
        "Try again; check endpoint_url if it stays so.",
    )


def _broken(exc: Exception) -> str:
    """What became of the answer, in words."""
    from botocore import exceptions as b
    from botocore.parsers import ResponseParserError

    if isinstance(exc, ResponseParserError | KeyError):
        return "what answered is not AWS"
    if isinstance(exc, b.ReadTimeoutError):
        return "it did not come in time"
    return "the connection broke"


def _first_line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200]
