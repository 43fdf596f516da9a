"""Trips to the small provider and back, and what they came to."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from backend.accounts import provider_sessions, providers, sessions
from backend.accounts.audit_log import AuditFilter, list_events
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.models.accounts import ProviderFlow, ProviderSession
from tests.auth.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider


def configure(
    monkeypatch: pytest.MonkeyPatch, site: str, running: Provider, **options: Any
) -> None:
    """The portal's configuration is this provider, with these options."""
    section = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": f"{site}/oauth2callback",
        "server_metadata_url": f"{running.url}/.well-known/openid-configuration",
        "roles": {"operator": ["group:operators"], "viewer": ["group:everyone"]},
        **options,
    }
    found = providers.parse({"auth": section})
    assert not found.problems
    monkeypatch.setattr(providers, "load", lambda: found)


def leave(visitor: httpx.Client, next_path: str = "/jobs", *, fresh: bool = False) -> str:
    """Start a trip; the address of the provider that the browser is sent to. fresh: to prove anew
    who is signed in, for which the provider is told to ask."""
    form = {"provider": "", "next": next_path, **({"fresh": "1"} if fresh else {})}
    address = sent_to(visitor.post("/auth/provider", data=form))
    asked = parse_qs(urlsplit(address).query)
    assert not fresh or (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    return address


def sent_to(page: httpx.Response) -> str:
    """Where a page of the portal's routes sends the browser."""
    found = re.search(r'url=([^"]+)"', page.text)
    assert found, page.text
    return found.group(1).replace("&amp;", "&")


def come_back(visitor: httpx.Client, next_path: str = "/jobs") -> httpx.Response:
    """A whole trip; the portal's answer to the provider's."""
    there = httpx.get(leave(visitor, next_path))
    return visitor.get(there.headers["location"])


def told(database: Database) -> str:
    """The newest sentence for the browser; it is in the audit log, too."""
    with database.read() as session:
        error = session.query(ProviderFlow.error).order_by(ProviderFlow.id.desc()).first()
        events = list_events(session, SYSTEM, filters=AuditFilter(outcome="refused")).items
    assert error is not None
    assert events[0].details["reason"] == error[0]
    return str(error[0])


def live(database: Database) -> int:
    with database.read() as session:
        return len(sessions.list_live(session, SYSTEM))


def due_now(database: Database, sessions: int = 1) -> None:
    with database.write() as session:
        session.query(ProviderSession).update({"check_at": clock.now()})
    assert provider_sessions.check_due(database) == sessions
