"""A first own environment with nothing but the REST API: each answer names what comes next."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.sandbox.datahub import StandIn
from tests.backend.tokenization.world import Source, customers

TOKEN = "planted-token-of-theirs"


@pytest.fixture
def shop(postgres_url: str) -> Source:
    source = Source(postgres_url)
    customers(source)
    return source


@pytest.fixture
def gms(shop: Source) -> Iterator[StandIn]:
    with StandIn(token=TOKEN) as server:
        fields = {"id": "bigint", "name": "text", "email": "text", "phone": "varchar(60)"}
        server.seed_dataset(shop.urn("customers"), fields=fields, primary_keys=["id"])
        yield server


@pytest.mark.slow
def test_postgres_first_then_datahub(
    client: TestClient,
    bearer: Callable[[str], dict[str, str]],
    workers: None,
    shop: Source,
    gms: StandIn,
) -> None:
    admin = bearer("admin")

    def ask(method: str, path: str, status: int = 200, **body: Any) -> Any:
        answer = client.request(method, f"/api{path}", json=body or None, headers=admin)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def tokenization() -> Any:
        jobs = ask("GET", "/environments/Live/checklist")["jobs"]
        return next(job for job in jobs if job["job"] == "Tokenization")

    made = ask("POST", "/environments", 201, name="Live")
    assert (made["name"], made["is_default"]) == ("Live", True)
    first = tokenization()["steps"][0]
    assert (first["kind"], first["status"]) == ("postgres", "missing")
    at = "/environments/Live/connections/postgres"
    wrong = ask("POST", f"{at}/test", settings=shop.settings, secrets={"password": "wrong"})
    assert "password was refused" in wrong["results"][0]["cause"]
    assert ask("GET", at)["version"] == 0, "a test of a draft saves nothing"
    good = {"settings": shop.settings, "secrets": shop.secrets}
    assert ask("POST", f"{at}/test", **good)["results"][0]["ok"]
    ask("PUT", at, **good)
    assert tokenization()["steps"][0]["status"] == "untested"
    # What is not named is as stored, the password included.
    renamed = ask("POST", f"{at}/test", settings={"database": "nowhere"})["results"][0]
    assert "nowhere does not exist" in renamed["cause"]
    assert ask("POST", "/environments/Live/test")["results"][0]["ok"]
    assert tokenization()["ready"]
    past = ask("GET", f"{at}/tests")["results"]
    assert [item["ok"] for item in past] == [True, False, True, False]

    tables = ask("GET", "/tokenization/tables?environment=Live")
    assert shop.urn("customers") in str(tables)
    run = ask(
        "POST", "/tokenization/runs", dataset=shop.urn("customers"), columns=["email"], wait=60
    )
    assert (run["status"], run["writeback"], run["rows_updated"]) == ("succeeded", "skipped", 50)

    at = "/environments/Live/connections/datahub"
    ask("PUT", at, settings={"server": gms.url})
    refused = ask("POST", "/environments/Live/test?kind=datahub")["results"][0]
    assert refused["cause"] == "It does not accept the token (401); no access token is stored."
    ask("PUT", at, secrets={"token": TOKEN})
    assert ask("POST", "/environments/Live/test?kind=datahub")["results"][0]["ok"]
    ask("POST", f"/tokenization/runs/{run['run_id']}/write-back", 202)

    ask("PATCH", "/environments/Live", name="Shop", production=True)
    assert ask("GET", "/environments")["items"][0]["is_production"]
    ask("DELETE", at.replace("Live", "Shop"), 204)
    assert not ask("GET", at.replace("Live", "Shop"))["configured"]
    ask("DELETE", "/environments/Shop", 400)
    ask("DELETE", "/environments/Shop?confirm=Shop", 204)
    assert ask("GET", "/environments")["items"] == []


def test_another_default_is_chosen(
    client: TestClient, bearer: Callable[[str], dict[str, str]]
) -> None:
    admin = bearer("admin")
    for name in ("One", "Two"):
        client.post("/api/environments", json={"name": name}, headers=admin)
    taken = client.post("/api/environments", json={"name": "one"}, headers=admin)
    assert (taken.status_code, taken.json()["error"]) == (409, "NameTaken")
    changed = client.patch("/api/environments/two", json={"default": True}, headers=admin)
    assert changed.json()["is_default"]
    never = client.patch("/api/environments/two", json={"default": False}, headers=admin)
    assert never.status_code == 422
