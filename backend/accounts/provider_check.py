"""`doctor` on identity providers: the file, what each provider answers, and what a token gives."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from backend.accounts import claims as meaning
from backend.accounts import emergency, providers
from backend.accounts.providers import Provider
from backend.core.access import Role
from backend.core.errors import InvalidInput, NotPermitted, PortalError
from backend.core.settings import Settings
from backend.integrations.oidc import client

_NEEDED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
_ASYMMETRIC = ("RS", "PS", "ES", "Ed")
#: Machines whose http needs no TLS.
_HERE = ("localhost", "127.0.0.1", "::1")


class TokenReport(BaseModel):
    """What a pasted token would come to. role: None, and error says why nobody gets in."""

    provider: str
    signature: str
    name: str
    role: Role | None = None
    grants: list[str] = []
    error: str = ""


def check(settings: Settings) -> tuple[str, ...]:
    """What is wrong with the file, and with what its providers answer; a sentence each."""
    configured = providers.load()
    problems = list(configured.problems)
    if emergency.passwords_are_off() and not configured.providers:
        problems.append(
            "PORTAL_LOCAL_PASSWORDS: off, and no identity provider is configured: nobody can sign "
            "in. Configure one, or set it to on."
        )
    for provider in configured.providers:
        own = [*_addresses(provider, settings), *asyncio.run(_answers(provider))]
        problems += [f"Identity provider {provider.title}: {problem}" for problem in own]
    return tuple(problems)


def explain(text: str, *, provider: str = "") -> TokenReport:
    """Which claim of a token (or of its JSON) gives which role here.

    provider: its name; otherwise the token's issuer tells. Raises InvalidInput, NotFound.
    """
    text = text.strip()
    signed = not text.startswith("{")
    try:
        claims = client.unverified(text) if signed else json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(
            "This is no token: paste an id token (three parts with dots) or its claims as JSON."
        ) from exc
    found = _provider_of(claims, provider)
    report = TokenReport(
        provider=found.title,
        signature=asyncio.run(_signature(found, text)) if signed else "none: JSON was pasted",
        name=meaning.name_of(found, claims),
    )
    try:
        meaning.check_context(found, claims)
        report.role = meaning.role_of(found, claims)
        report.grants = [f"{one.role}: {one.why}" for one in meaning.grants(found, claims)]
    except NotPermitted as exc:
        report.error = exc.message
    if report.role is None and not report.error:
        report.error = f"No claim gives a role. It holds: {', '.join(sorted(claims)) or 'none'}."
    return report


def _provider_of(claims: Mapping[str, Any], name: str) -> Provider:
    configured = providers.load()
    if name or len(configured.providers) == 1:
        return configured.get(name) if name else configured.providers[0]
    for provider in configured.providers:
        if _issuer(provider) == claims.get("iss"):
            return provider
    raise InvalidInput("No configured provider has this token's issuer. Name one with --provider.")


def _issuer(provider: Provider) -> object:
    try:
        return asyncio.run(client.metadata(provider.registration)).get("issuer")
    except PortalError:
        return None


async def _signature(provider: Provider, token: str) -> str:
    try:
        holds = await client.signature_holds(provider.registration, token)
    except PortalError as exc:
        return f"not checked: {exc.message}"
    return "holds" if holds else "does not hold: no key of this provider made it"


def _addresses(provider: Provider, settings: Settings) -> list[str]:
    problems = []
    for name in ("server_metadata_url", "redirect_uri"):
        parts = urlsplit(getattr(provider, name))
        if parts.scheme == "http" and parts.hostname not in _HERE:
            problems.append(f"{name} is http: whoever listens signs in as anybody. Use https.")
    public = urlsplit(settings.public_url)
    back = urlsplit(provider.redirect_uri)
    if public.netloc and (public.scheme, public.netloc) != (back.scheme, back.netloc):
        problems.append(
            f"redirect_uri leads to {back.scheme}://{back.netloc}, but the portal is at "
            f"{settings.public_url} (PORTAL_PUBLIC_URL). Correct one of them."
        )
    return problems


async def _answers(provider: Provider) -> list[str]:
    """What the discovery document says, and whether the client id and secret are taken."""
    try:
        known = await client.metadata(provider.registration)
        problems = _of_document(provider, known)
        if not problems:
            await client.check_client(provider.registration, redirect_uri=provider.redirect_uri)
        return problems
    except PortalError as exc:
        return [exc.message]


def _of_document(provider: Provider, known: Mapping[str, Any]) -> list[str]:
    missing = [key for key in _NEEDED if not known.get(key)]
    if missing:
        return [
            f"{provider.server_metadata_url} names no {', '.join(missing)}. "
            "Is it the provider's discovery document?"
        ]
    problems = []
    if "{" in str(known["issuer"]):
        problems.append(
            f"its issuer is {known['issuer']}, which stands for every tenant. Name your own "
            "tenant in server_metadata_url."
        )
    signed = known.get("id_token_signing_alg_values_supported") or ["RS256"]
    if not any(str(name).startswith(_ASYMMETRIC) for name in signed):
        problems.append(f"it signs with {', '.join(signed)} only; the portal needs a public key.")
    levels = known.get("acr_values_supported")
    asked = {*provider.acr_values, *provider.step_up_acr_values}
    if isinstance(levels, list) and asked - set(levels):
        problems.append(
            f"it does not offer the acr_values {', '.join(sorted(asked - set(levels)))}; "
            f"it offers {', '.join(map(str, levels))}."
        )
    scopes = known.get("scopes_supported")
    wanted = set(provider.scope.split())
    if isinstance(scopes, list) and wanted - set(scopes):
        problems.append(f"it does not offer the scope {', '.join(sorted(wanted - set(scopes)))}.")
    return problems
