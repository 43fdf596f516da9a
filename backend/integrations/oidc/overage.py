"""Entra's group overage: the groups of a person who is in more than a token may name.

Entra then names the claim in `_claim_names` (`hasgroups` in the implicit flow) and leaves it out.
The address in `_claim_sources` is of the Azure AD Graph, which is switched off, and a claim's: it
is never asked. Microsoft Graph is, at the host that the discovery document names (`msgraph_host`;
national clouds have their own): POST /me/getMemberObjects, least right User.Read, at most 11,000.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

CLAIM = "groups"
_PATH = "/v1.0/me/getMemberObjects"
#: 400: Directory_ResultSizeLimitExceeded, or an account that has no directory.
_NO_ANSWER = (400, 401, 403, 404)
_MOST_PAGES = 20


def left_out(claims: Mapping[str, Any]) -> bool:
    """Whether the token says that it does not hold the person's groups."""
    names = claims.get("_claim_names")
    named = isinstance(names, Mapping) and CLAIM in names
    return CLAIM not in claims and (named or claims.get("hasgroups") in (True, "true"))


async def groups(app: Any, token: Mapping[str, Any]) -> list[str] | None:
    """Ids of the security groups that the token's person is in, directly or by another group.

    None: the provider is no Entra, or gives this client no right to ask. Raises ValueError for an
    answer of another shape, and httpx2's errors.
    """
    base = _base(app.server_metadata)
    if base is None:
        return None
    asked = {"securityEnabledOnly": True}
    answer = await app.post(base + _PATH, token=dict(token), json=asked)
    found: list[str] = []
    for _ in range(_MOST_PAGES):
        if answer.status_code in _NO_ANSWER:
            return None
        answer.raise_for_status()
        page = answer.json()
        ids = page.get("value") if isinstance(page, Mapping) else None
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise ValueError("Microsoft Graph's answer is no list of groups")
        found += ids
        following = page.get("@odata.nextLink")
        if not following:
            return found
        if not str(following).startswith(f"{base}/"):
            raise ValueError("Microsoft Graph names another server for its next page")
        answer = await app.get(str(following), token=dict(token))
    raise ValueError("Microsoft Graph's list of groups does not end")


def _base(metadata: Mapping[str, Any]) -> str | None:
    """Where Microsoft Graph is: at a bare host, asked as securely as userinfo."""
    host, scheme = metadata.get("msgraph_host"), urlsplit(metadata["userinfo_endpoint"]).scheme
    if not isinstance(host, str) or not host:
        return None
    if urlsplit(f"{scheme}://{host}").netloc != host or "@" in host:
        raise ValueError("its discovery document's msgraph_host is no host")
    return f"{scheme}://{host}"
