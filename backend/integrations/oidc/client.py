"""One provider: where to send the browser, what its answer says, whether a session still holds.

Authlib does the protocol (PKCE S256, nonce, keys that rotate, RFC 7519 claims). The state of a
sign-in is the caller's to keep on the server: Authlib would put it into a cookie.
"""

import functools
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from backend.core import outside
from backend.core.errors import (
    CredentialsRefused,
    NotAuthenticated,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)

SYSTEM = "Identity provider"
DEADLINE_SECONDS = 10
#: How far the two clocks may be apart, either way.
LEEWAY_SECONDS = 120
#: A signature with a shared secret, or none, is no signature of the provider.
_ASYMMETRIC = ("RS", "PS", "ES", "Ed")
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Registration:
    """The portal as the provider knows it. metadata_url: its discovery document."""

    client_id: str
    client_secret: str = field(repr=False)
    metadata_url: str
    scope: str


@dataclass(frozen=True)
class Started:
    """url: where the browser goes; the rest stays on the server until the answer comes."""

    url: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True)
class Answer:
    """Checked claims of the id token, and of the userinfo endpoint where there is one."""

    claims: dict[str, Any]
    userinfo: dict[str, Any]
    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


def _told(call: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Errors of the libraries as the portal's, with the provider's own word for the cause."""

    @functools.wraps(call)
    async def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with outside.call("oidc"):
                return await call(*args, **kwargs)
        except OAuthError as exc:
            raise _refused(exc) from exc
        except JoseError as exc:
            raise NotAuthenticated(
                f"The identity provider's answer does not hold ({exc.error}). Sign in again; if "
                "it happens again, an admin compares the clocks and the client's settings."
            ) from exc
        except httpx2.TimeoutException as exc:
            raise UpstreamTimeout(
                SYSTEM, f"no answer within {DEADLINE_SECONDS} s", "Try again in a moment."
            ) from exc
        except httpx2.HTTPStatusError as exc:
            code = exc.response.status_code
            raise UpstreamError(SYSTEM, f"it answered {code}", "Try again in a moment.") from exc
        except httpx2.HTTPError as exc:
            raise UpstreamUnavailable(
                SYSTEM, "it cannot be reached", "Try again in a moment, or tell an admin."
            ) from exc
        except (ValueError, KeyError, TypeError, RuntimeError) as exc:
            raise UpstreamError(
                SYSTEM, f"its answer is no OpenID Connect ({exc})", "Tell an admin."
            ) from exc

    return inner


def _refused(exc: OAuthError) -> UpstreamError | NotAuthenticated:
    if exc.error in ("invalid_client", "unauthorized_client"):
        return CredentialsRefused(
            SYSTEM, f"it refuses the portal's client id or secret ({exc.error})", "Tell an admin."
        )
    if exc.error in ("server_error", "temporarily_unavailable"):
        return UpstreamUnavailable(SYSTEM, f"it answered {exc.error}", "Try again in a moment.")
    return NotAuthenticated(f"The identity provider refused the sign-in ({exc.error}).")


@_told
async def begin(registration: Registration, *, redirect_uri: str, **extra: str) -> Started:
    """A new sign-in. extra: further parameters of the request (acr_values, max_age, prompt)."""
    app = await _app(registration)
    data = await app.create_authorization_url(redirect_uri, **extra)
    return Started(data["url"], data["state"], data["nonce"], data["code_verifier"])


@_told
async def check_issuer(registration: Registration, issuer: str | None) -> None:
    """RFC 9207: the callback's own `iss`, which must be there where the provider promises it."""
    known = (await _app(registration)).server_metadata
    promised = known.get("authorization_response_iss_parameter_supported") is True
    if issuer != known.get("issuer") and (promised or issuer is not None):
        raise NotAuthenticated("This answer comes from another identity provider. Sign in again.")


@_told
async def finish(
    registration: Registration, *, code: str, redirect_uri: str, nonce: str, code_verifier: str
) -> Answer:
    """Trade the code for the checked answer; raises NotAuthenticated, UpstreamError."""
    app = await _app(registration)
    token = await app.fetch_access_token(
        code=code, redirect_uri=redirect_uri, code_verifier=code_verifier
    )
    return await _checked(app, token, nonce=nonce)


@_told
async def refresh(registration: Registration, refresh_token: str, *, known: Answer) -> Answer:
    """Ask again. A provider that sends no new id token or refresh token leaves the known ones."""
    app = await _app(registration)
    token = await app.fetch_access_token(grant_type="refresh_token", refresh_token=refresh_token)
    if token.get("id_token"):
        answer = await _checked(app, token, nonce=None)
    else:
        renewed = str(token.get("refresh_token") or "")
        answer = Answer(known.claims, await _userinfo(app, token), known.id_token, renewed)
    if answer.claims.get("sub") != known.claims.get("sub"):
        raise NotAuthenticated("The identity provider now names another person.")
    kept = answer.refresh_token or refresh_token
    return Answer(answer.claims, answer.userinfo, answer.id_token, kept)


@_told
async def logout_url(registration: Registration, *, id_token: str, back_to: str) -> str:
    """Where sign-out ends the provider's session too; "" when it has no such address."""
    app = await _app(registration)
    if not app.server_metadata.get("end_session_endpoint"):
        return ""
    data = await app.create_logout_url(
        post_logout_redirect_uri=back_to, id_token_hint=id_token, client_id=registration.client_id
    )
    return str(data["url"])


@_told
async def logout_claims(registration: Registration, logout_token: str) -> dict[str, Any]:
    """Checked claims of a back-channel logout token (OpenID Connect Back-Channel Logout 1.0, 2.6).

    Raises NotAuthenticated, and ValueError's sentence as UpstreamError for a wrong shape.
    """
    app = await _app(registration)
    claims = await _signed(app, logout_token)
    _required(app, registration.client_id).validate(claims)
    if _LOGOUT_EVENT not in (claims.get("events") or {}) or "nonce" in claims:
        raise NotAuthenticated("This is no logout token.")
    if not (claims.get("sub") or claims.get("sid")) or not claims.get("jti"):
        raise NotAuthenticated("The logout token names no session.")
    return claims


@_told
async def metadata(registration: Registration) -> dict[str, Any]:
    """The discovery document as fetched now; for `doctor`."""
    return dict((await _app(registration, fresh=True)).server_metadata)


async def _checked(app: Any, token: Mapping[str, Any], *, nonce: str | None) -> Answer:
    if not token.get("id_token"):
        raise ValueError("no id_token; is openid among the scopes?")
    claims = await _signed(app, token["id_token"])
    _required(app, app.client_id).validate(claims)
    if claims.get("azp") not in (None, app.client_id):
        raise NotAuthenticated("The identity provider's answer is meant for another program.")
    if nonce is not None and claims.get("nonce") != nonce:
        raise NotAuthenticated("The identity provider's answer belongs to another sign-in.")
    userinfo = await _userinfo(app, token)
    if userinfo and userinfo.get("sub") != claims["sub"]:
        raise NotAuthenticated("The identity provider's two answers name two people.")
    return Answer(claims, userinfo, token["id_token"], str(token.get("refresh_token") or ""))


async def _userinfo(app: Any, token: Mapping[str, Any]) -> dict[str, Any]:
    if not app.server_metadata.get("userinfo_endpoint") or not token.get("access_token"):
        return {}
    return dict(await app.userinfo(token=dict(token)))


async def _signed(app: Any, token: str) -> dict[str, Any]:
    """The claims of a token with a signature of the provider's; keys are fetched anew once."""
    offered = app.server_metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    registry = JWSRegistry(
        algorithms=[name for name in offered if name.startswith(_ASYMMETRIC)],
        strict_check_header=False,
    )
    try:
        keys = KeySet.import_key_set(await app.fetch_jwk_set())
        return dict(jwt.decode(token, key=keys, registry=registry).claims)
    except (JoseError, ValueError):
        keys = KeySet.import_key_set(await app.fetch_jwk_set(force=True))
        return dict(jwt.decode(token, key=keys, registry=registry).claims)


def _required(app: Any, client_id: str) -> jwt.JWTClaimsRegistry:
    issuer = app.server_metadata.get("issuer")
    if not issuer:
        raise ValueError("its discovery document names no issuer")
    return jwt.JWTClaimsRegistry(
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
        iat={"essential": True},
        exp={"essential": True},
    )


_apps: dict[Registration, Any] = {}


async def _app(registration: Registration, *, fresh: bool = False) -> Any:
    """Authlib's client; the discovery document and keys are kept while the process lives."""
    app = None if fresh else _apps.get(registration)
    if app is None:
        app = OAuth().register(
            "provider",
            client_id=registration.client_id,
            client_secret=registration.client_secret or None,
            server_metadata_url=registration.metadata_url,
            client_kwargs={
                "scope": registration.scope,
                "code_challenge_method": "S256",
                "timeout": DEADLINE_SECONDS,
            },
        )
        await app.load_server_metadata()
        _apps[registration] = app
    return app
