"""Local passwords off: only a break-glass account of the command line signs in, for some hours."""

from datetime import timedelta

import pytest

from backend.accounts import audit_log, emergency, sign_in
from backend.accounts.audit_log import AuditFilter
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import Conflict, NotAuthenticated, NotPermitted
from backend.core.settings import get_settings
from tests.backend.accounts.conftest import PASSWORD, AddAccount, MoveClock

CLI = Actor(0, "cli:root", Role.ADMIN, "cli")


@pytest.fixture(autouse=True)
def _off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_LOCAL_PASSWORDS", "off")
    get_settings.cache_clear()


def opened(database: Database, name: str = "break-glass", hours: int = 1) -> str:
    with database.write() as session:
        return emergency.open_account(session, CLI, name=name, hours=hours).raw


def enter(database: Database, name: str, password: str) -> Actor:
    return sign_in.authenticate(database, name=name, password=password, address="")


def reason(database: Database) -> str:
    with database.read() as session:
        rows = audit_log.list_events(session, SYSTEM, filters=AuditFilter(outcome="refused")).items
    return str(rows[0].details["reason"])


def test_a_right_password_of_anybody_else_opens_nothing(
    database: Database, add_account: AddAccount
) -> None:
    add_account("ann", Role.ADMIN)
    with pytest.raises(NotAuthenticated, match="name or the password is wrong"):
        enter(database, "ann", PASSWORD)
    assert reason(database) == "local passwords are off"


def test_the_break_glass_account_is_an_admin_for_its_hours(
    database: Database, move_clock: MoveClock
) -> None:
    raw = opened(database)
    assert enter(database, "break-glass", raw).role is Role.ADMIN
    move_clock(timedelta(hours=1, seconds=1))
    with pytest.raises(NotAuthenticated):
        enter(database, "break-glass", raw)
    assert reason(database) == "local passwords are off"


def test_opening_it_again_ends_the_old_password(database: Database) -> None:
    first = opened(database)
    second = opened(database)
    with pytest.raises(NotAuthenticated):
        enter(database, "break-glass", first)
    assert enter(database, "break-glass", second).name == "break-glass"


def test_somebodys_account_is_not_taken(database: Database, add_account: AddAccount) -> None:
    add_account("ann")
    with pytest.raises(Conflict, match="somebody's account"):
        opened(database, "ann")


@pytest.mark.parametrize("kind", ["user", "api_token"])
def test_it_is_made_at_the_command_line_only(database: Database, kind: str) -> None:
    actor = Actor(1, "root", Role.ADMIN, kind)  # type: ignore[arg-type]
    with database.write() as session, pytest.raises(NotPermitted, match="command line"):
        emergency.open_account(session, actor, name="x")
