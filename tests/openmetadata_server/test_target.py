"""The half that speaks to a real server, at a stand-in: it runs, and it leaves nothing behind."""

import pytest

from backend.sandbox.openmetadata import StandIn, seeding
from tests.openmetadata_server import target as targets
from tests.openmetadata_server.target import URL


@pytest.fixture
def server(monkeypatch, tmp_path):
    with StandIn(seed=seeding.seed_demo) as running:
        monkeypatch.setenv(URL, running.url)
        monkeypatch.delenv("TEST_OPENMETADATA_USER_JWT_FILE", raising=False)
        for who, account in (("ADMIN", "portal-admin"), ("BOT", "ingestion-bot")):
            file = tmp_path / who
            file.write_text(running.token(account) + "\n")
            monkeypatch.setenv(f"TEST_OPENMETADATA_{who}_JWT_FILE", str(file))
        yield running


def test_what_is_made_is_removed_again(server):
    store = server.store
    before = [set(store.users), set(store.domains), set(store.teams)]
    running = targets.real()
    target = next(running)
    assert set(target.tokens) == {"admin", "bot"}
    domain = target.add_domain("d")
    user = target.add_user("u", "U", [domain])
    target.add_team("t", target.add_domain("theirs"), [user])
    shown = target.user(user)["domains"]
    assert [(ref["name"], ref.get("inherited", False)) for ref in shown] == [
        (f"{target.prefix}d", False),
        (f"{target.prefix}theirs", True),
    ]
    target.delete(user)
    assert list(running) == []
    assert [set(store.users), set(store.domains), set(store.teams)] == before


def test_what_cannot_be_removed_is_named(server):
    running = targets.real()
    next(running).add_user("u", "U")
    server.faults.add(method="DELETE", status=500)
    with pytest.raises(AssertionError, match="could not be removed again"):
        list(running)
