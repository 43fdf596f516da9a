"""What goes wrong with an identity provider, as the portal's own errors."""

import asyncio
import functools
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import httpx2
from authlib.integrations.base_client import OAuthError
from joserfc.errors import JoseError

from backend.core import outside
from backend.core.errors import (
    CredentialsRefused,
    NotAuthenticated,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations import network
from backend.integrations.oidc.transport import MAX_ANSWER, AnswerTooLarge

SYSTEM = "Identity provider"
#: For each thing that is read of an answer.
DEADLINE_SECONDS = 10
#: For all that one step asks: a byte that drips begins the other anew.
WHOLE_SECONDS = 30
CLIENT_REFUSED = ("invalid_client", "unauthorized_client")
P = ParamSpec("P")
R = TypeVar("R")


def told(call: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Errors of the libraries as the portal's, with the provider's own word for the cause."""

    @functools.wraps(call)
    async def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with outside.call("oidc"):
                async with asyncio.timeout(WHOLE_SECONDS):
                    return await call(*args, **kwargs)
        except OAuthError as exc:
            raise _refused(exc) from exc
        except JoseError as exc:
            raise NotAuthenticated(
                f"The identity provider's answer does not hold ({exc.description or exc.error}). "
                "Sign in again; if it happens again, an admin compares the client's settings."
            ) from exc
        except AnswerTooLarge as exc:
            raise UpstreamError(
                SYSTEM, f"its answer is larger than {MAX_ANSWER >> 20} MiB", "Tell an admin."
            ) from exc
        except httpx2.TimeoutException as exc:
            raise _too_slow(DEADLINE_SECONDS) from exc
        except TimeoutError as exc:
            raise _too_slow(WHOLE_SECONDS) from exc
        except httpx2.HTTPStatusError as exc:
            code = exc.response.status_code
            raise UpstreamError(SYSTEM, f"it answered {code}", "Try again in a moment.") from exc
        except httpx2.HTTPError as exc:
            raise _not_reached(exc) from exc
        except (ValueError, KeyError, TypeError, RuntimeError) as exc:
            raise UpstreamError(
                SYSTEM, f"its answer is no OpenID Connect ({exc})", "Tell an admin."
            ) from exc

    return inner


def _not_reached(exc: httpx2.HTTPError) -> UpstreamUnavailable:
    """Strangers read it, too: no host is named."""
    for link in network.chain(exc):
        if isinstance(link, ssl.SSLCertVerificationError):
            why = f"its TLS certificate is not trusted ({link.verify_message})"
            return UpstreamUnavailable(
                SYSTEM, why, "Tell an admin: PORTAL_CA_BUNDLE names authorities to trust."
            )
    return UpstreamUnavailable(
        SYSTEM, "it cannot be reached", "Try again in a moment, or tell an admin."
    )


def _too_slow(seconds: float) -> UpstreamTimeout:
    return UpstreamTimeout(SYSTEM, f"no answer within {seconds} s", "Try again in a moment.")


def _refused(exc: OAuthError) -> UpstreamError | NotAuthenticated:
    if exc.error in CLIENT_REFUSED:
        return CredentialsRefused(
            SYSTEM, f"it refuses the portal's client id or secret ({exc.error})", "Tell an admin."
        )
    if exc.error in ("server_error", "temporarily_unavailable"):
        return UpstreamUnavailable(SYSTEM, f"it answered {exc.error}", "Try again in a moment.")
    return NotAuthenticated(f"The identity provider refused the sign-in ({exc.error}).")
