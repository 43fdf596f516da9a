"""A provider whose certificate is from a company's own authority."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.core import trust
from backend.core.database import Database
from backend.core.settings import get_settings
from backend.integrations.oidc import client
from tests.auth import trips
from tests.auth.oidc_provider import Provider
from tests.fixtures.certificates import Authority


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def company(
    authority: Authority, tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Provider]:
    monkeypatch.setattr(client, "_apps", {})
    with Provider(authority.issue(tmp_path, "127.0.0.1")) as provider:
        provider.person = {"sub": "1", "preferred_username": "ann", "groups": ["operators"]}
        trips.configure(monkeypatch, site, provider)
        yield provider


def test_signs_in_where_the_portal_trusts_the_authority(
    company: Provider,
    authority: Authority,
    visitor: httpx.Client,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "ca.pem").write_text(authority.pem)
    monkeypatch.setenv("PORTAL_CA_BUNDLE", str(tmp_path / "ca.pem"))
    get_settings.cache_clear()
    address = trips.leave(visitor)
    assert address.startswith(f"{company.url}/authorize")
    there = httpx.get(address, verify=trust.DEFAULT.context())
    visitor.get(there.headers["location"])
    assert trips.live(database) == 1


def test_elsewhere_the_certificate_is_what_is_told(
    company: Provider, visitor: httpx.Client, database: Database
) -> None:
    visitor.post("/auth/provider", data={"provider": "", "next": "/"})
    assert "its TLS certificate is not trusted (self-signed" in trips.told(database)
    assert trips.live(database) == 0
