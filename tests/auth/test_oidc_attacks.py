"""Forged tokens and floods at the routes of the identity provider; each names its guard."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from backend.accounts.audit_log import AuditFilter, list_events
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.auth.oidc_provider import CLIENT_SECRET, Provider
from tests.auth.trips import come_back, live, told

pytestmark = pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
Claims = dict[str, Any]
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
#: Its public half fits into a header of the size that is read.
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EVENT = "http://schemas.openid.net/event/backchannel-logout"


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _hmac(claims: Claims, key: bytes) -> str:
    body = f"{_encoded({'alg': 'HS256', 'kid': '1'})}.{_encoded(claims)}"
    signature = hmac.new(key, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _public(provider: Provider) -> bytes:
    return provider._key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _own_key(claims: Claims, **headers: Any) -> str:
    return jwt.encode(claims, OTHER, algorithm="RS256", headers={"kid": "1", **headers})


FORGERIES: dict[str, Callable[[Provider, Claims], str]] = {
    "no signature": lambda _, claims: jwt.encode(claims, "", algorithm="none"),
    "the client's secret as key": lambda _, claims: _hmac(claims, CLIENT_SECRET.encode()),
    "the public key as key": lambda provider, claims: _hmac(claims, _public(provider)),
    "a key of one's own": lambda _, claims: _own_key(claims),
    "a key brought along": lambda _, claims: jwt.encode(
        claims,
        SMALL,
        algorithm="RS256",
        headers={"kid": "1", "jwk": json.loads(RSAAlgorithm.to_jwk(SMALL.public_key()))},
    ),
    "a key's address brought along": lambda provider, claims: _own_key(
        claims, jku=f"{provider.url}/userinfo"
    ),
    "cut signature": lambda _, claims: _own_key(claims).rpartition(".")[0] + ".",
    "another body under the signature": lambda provider, claims: ".".join(
        (lambda parts: (parts[0], _encoded(claims | {"sub": "2"}), parts[2]))(
            Provider.signed(provider, claims).split(".")
        )
    ),
}


def guard(how: str) -> str:
    """Who answers: what no provider may sign with is refused before a signature is looked at."""
    found = {"no signature": "none", "the client's secret as key": "HS256"}
    name = {**found, "the public key as key": "HS256"}.get(how)
    return f"Algorithm of '{name}' is not allowed" if name else "(?i)signature"


def forge(monkeypatch: pytest.MonkeyPatch, provider: Provider, how: str) -> None:
    genuine = provider.signed

    def signed(claims: Claims) -> str:
        whole = jwt.decode(genuine(claims), options={"verify_signature": False})
        monkeypatch.setattr(provider, "signed", genuine)
        return FORGERIES[how](provider, whole)

    monkeypatch.setattr(provider, "signed", signed)


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_id_token_signs_nobody_in(
    visitor: httpx.Client,
    provider: Provider,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    forge(monkeypatch, provider, how)
    back = come_back(visitor)
    assert "set-cookie" not in back.headers
    assert live(database) == 0
    assert re.search(guard(how), told(database)), told(database)


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_logout_token_ends_no_session(
    visitor: httpx.Client,
    provider: Provider,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    come_back(visitor)
    forge(monkeypatch, provider, how)
    claims = {"sub": "1", "jti": "j", "events": {EVENT: {}}}
    body = {"logout_token": provider.signed(claims)}
    answer = visitor.post("/auth/provider-logout/-", data=body)
    assert answer.status_code == 400
    assert re.search(guard(how), answer.json()["error_description"]), answer.text
    assert live(database) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1_000_000_000, "iat": 999_999_000},
        {"events": {EVENT + "/": {}}},
        {"events": [EVENT.upper()]},
        {"events": 5},
        {"jti": ""},
        {"sub": "", "sid": ""},
        {"iss": "https://evil.example"},
    ],
    ids=["over", "another event", "a list", "a number", "no name", "nobody", "another issuer"],
)
def test_a_genuine_token_that_is_no_logout_of_now_ends_no_session(
    visitor: httpx.Client, provider: Provider, database: Database, claims: Claims
) -> None:
    come_back(visitor)
    good = {"sub": "1", "jti": "j", "events": {EVENT: {}}}
    body = {"logout_token": provider.signed({**good, **claims})}
    assert visitor.post("/auth/provider-logout/-", data=body).status_code == 400
    assert live(database) == 1


class TestFlood:
    """Strangers write nothing without end into the log that nobody may delete from."""

    @pytest.mark.parametrize(
        "path",
        ["/oauth2callback?state=made-up&code=x", "/oauth2callback", "/oauth2callback?error=x"],
    )
    def test_of_answers_that_nobody_asked_for(
        self, visitor: httpx.Client, provider: Provider, database: Database, path: str
    ) -> None:
        answers = {visitor.get(path).status_code for _ in range(30)}
        assert answers == {303}
        assert len(_refused(database)) <= 8

    def test_of_trips_that_are_cancelled(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.refuses = "access_denied"
        for _ in range(12):
            come_back(visitor)
        assert 5 <= len(_refused(database)) <= 8
        provider.refuses = ""
        assert "portal_session" in come_back(visitor).headers["set-cookie"]

    def test_of_trips_to_nowhere(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        for number in range(30):
            visitor.post("/auth/provider", data={"provider": f"made up {number}", "next": "/"})
        assert 5 <= len(_refused(database)) <= 8


def _refused(database: Database) -> list[Any]:
    with database.read() as session:
        found = list_events(session, SYSTEM, filters=AuditFilter(outcome="refused"), limit=100)
    return list(found.items)
