"""A person in more groups than Entra's token names: they are asked for at Microsoft Graph."""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from backend.accounts import service
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.integrations.oidc import client
from tests.auth.oidc_provider import Provider
from tests.auth.trips import come_back, due_now, live, told

OLD_GRAPH = "https://graph.windows.net/t/users/u/getMemberObjects"
SOURCES = {"_claim_sources": {"src1": {"endpoint": OLD_GRAPH}}}
MANY = {"value": [f"group-{number}" for number in range(250)]}
OPERATORS = {"value": [*MANY["value"], "Operators"]}


@pytest.fixture
def entra(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The provider as Entra is to somebody in 251 groups."""
    monkeypatch.setattr(client, "_apps", {})
    provider.document = {"msgraph_host": urlsplit(provider.url).netloc}
    del provider.person["groups"]
    provider.person |= {"_claim_names": {"groups": "src1"}, **SOURCES}
    return provider


def role(database: Database) -> str:
    with database.read() as session:
        return str(service.list_accounts(session, SYSTEM).items[0].role)


def test_the_groups_are_asked_for_with_the_persons_own_token(
    visitor: httpx.Client, entra: Provider, database: Database
) -> None:
    entra.graph = [(200, OPERATORS)]
    assert "set-cookie" in come_back(visitor).headers
    assert role(database) == "operator"
    [(method, authorization, body)] = entra.graph_asked
    assert (method, authorization) == ("POST", "Bearer x")
    assert json.loads(body) == {"securityEnabledOnly": True}


def test_the_implicit_flows_word_for_it_counts_too(
    visitor: httpx.Client, entra: Provider, database: Database
) -> None:
    del entra.person["_claim_names"], entra.person["_claim_sources"]
    entra.person["hasgroups"] = True
    entra.graph = [(200, OPERATORS)]
    come_back(visitor)
    assert role(database) == "operator"


def test_every_page_is_read(visitor: httpx.Client, entra: Provider, database: Database) -> None:
    entra.graph = [(200, MANY | {"@odata.nextLink": f"{entra.url}/v1.0/more"}), (200, OPERATORS)]
    come_back(visitor)
    assert role(database) == "operator"
    assert [method for method, _, _ in entra.graph_asked] == ["POST", "GET"]


@pytest.mark.parametrize("refresh", [True, False])
def test_a_live_session_follows_them(
    visitor: httpx.Client, entra: Provider, database: Database, refresh: bool
) -> None:
    entra.refreshes = refresh
    entra.graph = [(200, OPERATORS), (200, {"value": ["everyone"]}), (503, {}), (200, MANY)]
    come_back(visitor)
    due_now(database)
    assert role(database) == "viewer"
    due_now(database)
    assert live(database) == 1, "a Graph that is down ends nothing"
    due_now(database)
    assert live(database) == 0, "and one that names no group of the portal's does"
    assert len(entra.graph_asked) == 4


def test_a_token_that_names_its_groups_asks_nobody(
    visitor: httpx.Client, entra: Provider, database: Database
) -> None:
    entra.person["groups"] = ["operators"]
    come_back(visitor)
    assert (role(database), entra.graph_asked) == ("operator", [])


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((403, {"error": {"code": "Authorization_RequestDenied"}}), "adds User.Read to scope"),
        ((401, {}), "adds User.Read to scope"),
        ((400, {"error": {"code": "Directory_ResultSizeLimitExceeded"}}), "more groups than"),
        ((200, MANY), "ann has no role in this portal"),
        ((200, {"value": [5]}), "is no list of groups"),
        ((200, MANY | {"@odata.nextLink": "http://127.0.0.77/v1.0/x"}), "names another server"),
        ((503, {}), "it answered 503"),
    ],
)
def test_what_gives_no_groups_is_one_sentence(
    visitor: httpx.Client,
    entra: Provider,
    database: Database,
    answer: tuple[int, dict[str, Any]],
    sentence: str,
) -> None:
    entra.graph = [answer]
    assert "set-cookie" not in come_back(visitor).headers
    assert sentence in told(database)
    assert len(entra.graph_asked) == 1


@pytest.mark.parametrize("host", ["a@127.0.0.77", "127.0.0.77/x", "127.0.0.77?x", "127.0.0.77#"])
def test_a_discovery_document_sends_the_token_to_a_host_only(
    visitor: httpx.Client, entra: Provider, database: Database, host: str
) -> None:
    entra.document = {"msgraph_host": host}
    come_back(visitor)
    assert "msgraph_host is no host" in told(database)


def test_without_microsoft_graph_nobody_is_asked(
    visitor: httpx.Client, entra: Provider, database: Database
) -> None:
    entra.document = {}
    come_back(visitor)
    assert "more groups than" in told(database)
    assert entra.graph_asked == []
