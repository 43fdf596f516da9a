"""One provider: where to send the browser, what its answer says, whether a session still holds.

Authlib does the protocol (PKCE S256, nonce, keys that rotate, RFC 7519 claims). The state of a
sign-in is the caller's to keep on the server: Authlib would put it into a cookie.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from backend.core import clock, trust
from backend.core.errors import NotAuthenticated
from backend.core.log import get_logger
from backend.integrations.oidc import overage
from backend.integrations.oidc.errors import CLIENT_REFUSED, DEADLINE_SECONDS, told
from backend.integrations.oidc.transport import ProviderApp

log = get_logger(__name__)

#: How far the two clocks may be apart, either way.
LEEWAY_SECONDS = 120
#: A difference that the log mentions: more than a slow answer explains.
_MENTIONED_SECONDS = 10
#: A signature with a shared secret, or none, is no signature of the provider.
_ASYMMETRIC = ("RS", "PS", "ES", "Ed")
#: Servers refuse longer addresses; the rest of it is short.
_LONGEST_HINT = 5_000
#: A logout token is told at once, and is good for no longer, whatever it says itself.
LOGOUT_SECONDS = 3_600
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


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
    """Checked claims of the id token, and of the userinfo endpoint where there is one.

    What the provider can be asked again with: the refresh token, else the access token until
    access_until (seconds since 1970; 0: it has no end that the provider names).
    signed_now: the claims are of now; else only userinfo is.
    """

    claims: dict[str, Any]
    userinfo: dict[str, Any]
    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    access_until: float = 0
    signed_now: bool = True

    @property
    def merged(self) -> dict[str, Any]:
        """What the provider says: signed claims over those of userinfo, new ones over old ones."""
        if self.signed_now:
            return {**self.userinfo, **self.claims}
        return {**self.claims, **self.userinfo}


@told
async def begin(registration: Registration, *, redirect_uri: str, **extra: str) -> Started:
    """A new sign-in. extra: further parameters of the request (acr_values, max_age, prompt)."""
    app = await _app(registration)
    data = await app.create_authorization_url(redirect_uri, **extra)
    return Started(data["url"], data["state"], data["nonce"], data["code_verifier"])


@told
async def check_issuer(registration: Registration, issuer: str | None) -> None:
    """RFC 9207: the callback's own `iss`, which must be there where the provider promises it."""
    known = (await _app(registration)).server_metadata
    promised = known.get("authorization_response_iss_parameter_supported") is True
    if issuer != known.get("issuer") and (promised or issuer is not None):
        raise NotAuthenticated("This answer comes from another identity provider. Sign in again.")


@told
async def finish(
    registration: Registration, *, code: str, redirect_uri: str, nonce: str, code_verifier: str
) -> Answer:
    """Trade the code for the checked answer; raises NotAuthenticated, UpstreamError."""
    app = await _app(registration)
    token = await app.fetch_access_token(
        code=code, redirect_uri=redirect_uri, code_verifier=code_verifier
    )
    return await _checked(app, token, nonce=nonce)


@told
async def ask_again(registration: Registration, known: Answer) -> Answer:
    """What the provider says now, by its refresh token or else by userinfo.

    One that sends no new id token or refresh token leaves the known ones. Raises NotAuthenticated
    when it says no, UpstreamError when it does not answer.
    """
    app = await _app(registration)
    if not known.refresh_token:
        return replace(known, userinfo=await _still_let_in(app, known), signed_now=False)
    token = await app.fetch_access_token(
        grant_type="refresh_token", refresh_token=known.refresh_token
    )
    if token.get("id_token"):
        answer = await _checked(app, token, nonce=None)
    else:
        userinfo = await _userinfo(app, token, known.claims)
        answer = _answer(token, known.claims, userinfo, known.id_token, signed_now=False)
    if answer.merged["sub"] != known.claims["sub"]:
        raise NotAuthenticated("The identity provider now names another person.")
    return replace(answer, refresh_token=answer.refresh_token or known.refresh_token)


async def _still_let_in(app: Any, known: Answer) -> dict[str, Any]:
    if known.access_until and known.access_until <= clock.now().timestamp():
        raise NotAuthenticated("What the identity provider was asked with is over. Sign in again.")
    try:
        userinfo = await _userinfo(app, {"access_token": known.access_token}, known.claims)
    except httpx2.HTTPStatusError as exc:
        if exc.response.status_code not in (401, 403):
            raise
        raise NotAuthenticated("The identity provider says nothing of this person.") from exc
    if userinfo.get("sub") != known.claims["sub"]:
        raise NotAuthenticated("The identity provider now names another person.")
    return userinfo


@told
async def logout_url(registration: Registration, *, id_token: str, back_to: str) -> str:
    """Where sign-out ends the provider's session too; "" when it has no such address.

    Without the hint, which somebody in a hundred groups has too long, the provider asks them.
    """
    app = await _app(registration)
    if not app.server_metadata.get("end_session_endpoint"):
        return ""
    known = {"post_logout_redirect_uri": back_to, "client_id": registration.client_id}
    hint = {"id_token_hint": id_token} if len(id_token) <= _LONGEST_HINT else {}
    return str((await app.create_logout_url(**known, **hint))["url"])


@told
async def logout_claims(registration: Registration, logout_token: str) -> dict[str, Any]:
    """Checked claims of a back-channel logout token (OpenID Connect Back-Channel Logout 1.0, 2.6).

    Raises NotAuthenticated, and ValueError's sentence as UpstreamError for a wrong shape.
    """
    app = await _app(registration)
    claims = await _signed(app, logout_token, from_anybody=True)
    _validate(app, claims)
    if _LOGOUT_EVENT not in (claims.get("events") or {}) or "nonce" in claims:
        raise NotAuthenticated("This is no logout token.")
    if not (claims.get("sub") or claims.get("sid")) or not claims.get("jti"):
        raise NotAuthenticated("The logout token names no session.")
    if claims["iat"] < int(clock.now().timestamp()) - LOGOUT_SECONDS:
        raise NotAuthenticated(f"The logout token is older than {LOGOUT_SECONDS} seconds.")
    return claims


@told
async def metadata(registration: Registration) -> dict[str, Any]:
    """The discovery document as fetched now; for `doctor`."""
    return dict((await _app(registration, fresh=True)).server_metadata)


@told
async def check_client(registration: Registration, *, redirect_uri: str) -> None:
    """Whether the provider gives its keys and takes the portal's id and secret; for `doctor`.

    A code that nobody has is traded: a provider that refuses the code has taken the secret.
    """
    app = await _app(registration)
    try:
        KeySet.import_key_set(await app.fetch_jwk_set(force=True))
    except JoseError as exc:
        raise ValueError(f"no usable keys at jwks_uri: {exc.description or exc.error}") from exc
    try:
        await app.fetch_access_token(
            code="doctor", redirect_uri=redirect_uri, code_verifier="doctor" * 8
        )
    except OAuthError as exc:
        if exc.error in CLIENT_REFUSED:
            raise


def unverified(token: str) -> dict[str, Any]:
    """The claims that stand in a token, whoever signed it; raises ValueError."""
    part = token.split(".")[1] if token.count(".") == 2 else ""
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(claims, dict):
        raise ValueError("it holds no claims")
    return claims


@told
async def signature_holds(registration: Registration, token: str) -> bool:
    """Whether a pasted token is signed with one of the provider's keys; its times do not count."""
    try:
        await _signed(await _app(registration), token)
    except JoseError:
        return False
    return True


async def _checked(app: Any, token: Mapping[str, Any], *, nonce: str | None) -> Answer:
    if not token.get("id_token"):
        raise ValueError("no id_token; is openid among the scopes?")
    claims = await _signed(app, token["id_token"])
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise ValueError("its id token names nobody: sub is no text of 1 to 255 characters")
    _validate(app, claims)
    if claims.get("azp") not in (None, app.client_id):
        raise NotAuthenticated("The identity provider's answer is meant for another program.")
    if nonce is not None and claims.get("nonce") != nonce:
        raise NotAuthenticated("The identity provider's answer belongs to another sign-in.")
    userinfo = await _userinfo(app, token, claims)
    if userinfo and userinfo.get("sub") != subject:
        raise NotAuthenticated("The identity provider's two answers name two people.")
    return _answer(token, claims, userinfo, token["id_token"])


def _answer(
    token: Mapping[str, Any],
    claims: dict[str, Any],
    userinfo: dict[str, Any],
    id_token: str,
    *,
    signed_now: bool = True,
) -> Answer:
    lives = str(token.get("expires_in", ""))
    return Answer(
        claims,
        userinfo,
        id_token,
        refresh_token=str(token.get("refresh_token") or ""),
        access_token=str(token.get("access_token") or ""),
        access_until=clock.now().timestamp() + float(lives) if lives.isdigit() else 0,
        signed_now=signed_now,
    )


async def _userinfo(
    app: Any, token: Mapping[str, Any], claims: Mapping[str, Any]
) -> dict[str, Any]:
    """What the provider says beside the id token, with the groups that did not fit into it."""
    if not app.server_metadata.get("userinfo_endpoint") or not token.get("access_token"):
        return {}
    said = dict(await app.userinfo(token=dict(token)))
    if overage.left_out(claims) and (groups := await overage.groups(app, token)) is not None:
        said[overage.CLAIM] = groups
    return said


async def _signed(app: Any, token: str, *, from_anybody: bool = False) -> dict[str, Any]:
    """The claims of a token with a signature of the provider's; keys are fetched anew once.

    from_anybody: the provider itself did not hand it over just now. Who posts forged ones does not
    make the portal ask for keys each time.
    """
    offered = app.server_metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    algorithms = [name for name in offered if name.startswith(_ASYMMETRIC)]
    registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
    try:
        keys = KeySet.import_key_set(await app.fetch_jwk_set())
        return dict(jwt.decode(token, key=keys, registry=registry).claims)
    except (JoseError, ValueError):
        if from_anybody and app.keys_are_new:
            raise
        keys = KeySet.import_key_set(await app.fetch_jwk_set(force=True))
    return dict(jwt.decode(token, key=keys, registry=registry).claims)


def _validate(app: Any, claims: dict[str, Any]) -> None:
    """Issuer, audience and times of a signed token; the log says how far the clocks differ."""
    issuer = app.server_metadata.get("issuer")
    if not issuer:
        raise ValueError("its discovery document names no issuer")
    now, issued = clock.now().timestamp(), claims.get("iat")
    # Python's JSON may hold Infinity, or a number with hundreds of digits
    ahead = round(issued - now) if isinstance(issued, int | float) and abs(issued) < 2**40 else 0
    if abs(ahead) > _MENTIONED_SECONDS:
        log.warning(
            "The clocks of the portal and of an identity provider differ.",
            issuer=issuer,
            provider_ahead_seconds=ahead,
            tolerated_seconds=LEEWAY_SECONDS,
        )
    times = jwt.JWTClaimsRegistry(
        now=int(now), leeway=LEEWAY_SECONDS, iat={"essential": True}, exp={"essential": True}
    )
    try:
        times.validate(claims)
    except JoseError as exc:
        raise NotAuthenticated(
            f"The clocks of the portal and of the identity provider differ by {abs(ahead)} "
            f"seconds; {LEEWAY_SECONDS} are tolerated. Tell an admin."
            if abs(ahead) > LEEWAY_SECONDS
            else f"The identity provider's answer is not of now ({exc.description or exc.error}). "
            "Sign in again."
        ) from exc
    jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": app.client_id},
    ).validate(claims)


_apps: dict[Registration, Any] = {}


async def _app(registration: Registration, *, fresh: bool = False) -> Any:
    """Authlib's client; the discovery document and keys are kept while the process lives."""
    app = None if fresh else _apps.get(registration)
    if app is None:
        app = OAuth().register(
            "provider",
            client_cls=ProviderApp,
            client_id=registration.client_id,
            client_secret=registration.client_secret or None,
            server_metadata_url=registration.metadata_url,
            client_kwargs={
                "scope": registration.scope,
                "code_challenge_method": "S256",
                "timeout": DEADLINE_SECONDS,
                "verify": trust.DEFAULT.context(),
            },
        )
        await app.load_server_metadata()
        _apps[registration] = app
    return app
