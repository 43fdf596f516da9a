"""The way to a configured provider and back: what is asked for, and what its answer must say."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from backend.accounts.provider_flows import Flow
from backend.accounts.providers import Provider
from backend.core.errors import NotAuthenticated
from backend.integrations.oidc import client
from backend.integrations.oidc.client import Answer, Started

#: The provider's own codes (RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6) in words.
_ERRORS = {
    "access_denied": "the sign-in was cancelled or you may not use this portal",
    "login_required": "you have to sign in there first",
    "interaction_required": "it wants to ask you something",
    "temporarily_unavailable": "it is overloaded or down; try again in a moment",
    "server_error": "it failed; try again in a moment",
}


async def begin(provider: Provider, *, fresh: bool = False) -> Started:
    """A new trip, with the level and age of the sign-in that the configuration asks for.

    fresh: the provider asks the person again, whoever it still knows (a step-up). What it then
    says of the time (auth_time) is what counts: who changes the address gains nothing.
    """
    extra = {"prompt": "login", "max_age": "0"} if fresh else {}
    levels = (fresh and provider.step_up_acr_values) or provider.acr_values
    if levels:
        extra["acr_values"] = " ".join(levels)
    if provider.max_age is not None and not fresh:
        extra["max_age"] = str(provider.max_age)
    if provider.prompt and not fresh:
        extra["prompt"] = provider.prompt
    return await client.begin(provider.registration, redirect_uri=provider.redirect_uri, **extra)


async def finish(provider: Provider, flow: Flow, query: Mapping[str, str]) -> Answer:
    """The checked answer behind the callback's parameters; raises NotAuthenticated."""
    if "error" in query:
        code = query["error"][:60]
        raise NotAuthenticated(
            f"The identity provider signed nobody in: {_ERRORS.get(code, code)}. Try again."
        )
    if not query.get("code"):
        raise NotAuthenticated("The identity provider's answer holds no code. Sign in again.")
    await client.check_issuer(provider.registration, query.get("iss"))
    return await client.finish(
        provider.registration,
        code=query["code"],
        redirect_uri=provider.redirect_uri,
        nonce=flow.nonce,
        code_verifier=flow.code_verifier,
    )


async def logout_url(provider: Provider, id_token: str) -> str:
    """Where sign-out ends the provider's session; "" when the provider has no such address."""
    parts = urlsplit(provider.redirect_uri)
    back_to = f"{parts.scheme}://{parts.netloc}/"
    return await client.logout_url(provider.registration, id_token=id_token, back_to=back_to)


async def logout_claims(provider: Provider, logout_token: str) -> dict[str, Any]:
    """The checked claims of a back-channel logout token; raises NotAuthenticated."""
    return await client.logout_claims(provider.registration, logout_token)
