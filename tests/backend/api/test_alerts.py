"""The Overview's alerts and the roles over REST and at the command line."""

import json
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from backend.accounts import api_tokens, service
from backend.core import alerts
from backend.core.access import PERMISSIONS, SYSTEM, Actor, Permission, Role
from backend.core.alerts import Alert
from backend.core.database import Database
from tests.backend.cli.conftest import RunCli
from tests.backend.cli.conftest import run_cli as run_cli

Bearer = Callable[[str], dict[str, str]]
FIRST = Alert("error", "A write is unknown.", "mounts", query=(("environment", "prod"),))
SECOND = Alert("warning", "3 mounts are older than 24 h.", "mounts")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "_sources", lambda: {"mounts": lambda *_: [SECOND, FIRST]})


@pytest.fixture
def ann(database: Database) -> dict[str, str]:
    """The headers of a token that a person made."""
    with database.write() as session:
        account = service.add_account(
            session, SYSTEM, name="ann", role=Role.ADMIN, stored="no password"
        )
        person = Actor(account.id, "ann", Role.ADMIN, "user")
        made = api_tokens.add(session, person, name="anns", role="viewer")
    return {"Authorization": f"Bearer {made.raw}"}


def _seen(client: TestClient, headers: dict[str, str]) -> list[tuple[str, bool]]:
    items = client.get("/api/alerts", headers=headers).json()["items"]
    return [(item["text"], item["seen"]) for item in items]


def test_a_person_puts_one_aside_with_a_token_and_takes_it_back(
    client: TestClient, ann: dict[str, str], bearer: Bearer
) -> None:
    assert _seen(client, ann) == [(FIRST.text, False), (SECOND.text, False)]
    place = f"/api/alerts/{FIRST.key}/seen"
    marked = client.put(place, headers=ann, json={"seen": True})
    assert (marked.status_code, marked.json()["seen"]) == (200, True)
    assert marked.json()["query"] == {"environment": "prod"}
    assert _seen(client, ann) == [(FIRST.text, True), (SECOND.text, False)]
    assert _seen(client, bearer("viewer")) == [(FIRST.text, False), (SECOND.text, False)]
    client.put(place, headers=ann, json={"seen": False})
    assert _seen(client, ann) == [(FIRST.text, False), (SECOND.text, False)]


def test_what_is_no_alert_now_is_not_marked(client: TestClient, ann: dict[str, str]) -> None:
    answer = client.put(f"/api/alerts/{'0' * 64}/seen", headers=ann, json={"seen": True})
    assert (answer.status_code, "no such alert now" in answer.json()["detail"]) == (404, True)


def test_a_token_without_a_person_has_seen_nothing(client: TestClient, bearer: Bearer) -> None:
    answer = client.put(
        f"/api/alerts/{FIRST.key}/seen", headers=bearer("admin"), json={"seen": True}
    )
    assert answer.status_code == 400
    assert "no person is behind it" in answer.json()["detail"]


def test_the_command_line_marks_for_the_account_it_names(
    run_cli: RunCli, client: TestClient, ann: dict[str, str]
) -> None:
    listed = json.loads(run_cli("alerts", "--json").out)["items"]
    assert [(item["key"], item["seen"]) for item in listed] == [
        (FIRST.key, False),
        (SECOND.key, False),
    ]
    assert run_cli("alerts", "seen", SECOND.key, "--account", "ann").status == 0
    assert _seen(client, ann) == [(FIRST.text, False), (SECOND.text, True)]
    assert run_cli("alerts", "--account", "ann").out.splitlines() == [
        f"error: {FIRST.text}",
        f"warning: {SECOND.text} (seen)",
    ]
    unknown = run_cli("alerts", "seen", SECOND.key, "--account", "nobody")
    assert (unknown.status, "no account named nobody" in unknown.err) == (1, True)
    assert run_cli("alerts", "seen", SECOND.key, "--account", "ann", "--again").status == 0
    assert _seen(client, ann) == [(FIRST.text, False), (SECOND.text, False)]


def test_what_each_role_may_do(client: TestClient, run_cli: RunCli, bearer: Bearer) -> None:
    items = client.get("/api/roles", headers=bearer("viewer")).json()["items"]
    assert {item["permission"] for item in items} == set(Permission)
    for item in items:
        assert item["words"]
        assert item["roles"] == [r for r in Role if item["permission"] in PERMISSIONS[r]]
    assert json.loads(run_cli("accounts", "roles", "--json").out)["items"] == items
