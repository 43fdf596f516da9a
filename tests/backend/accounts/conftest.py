"""Accounts for tests: cheap hashes, a clock that can be moved, all three databases."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from backend.accounts import passwords, service
from backend.accounts.schemas import AccountView
from backend.core import clock
from backend.core.access import SYSTEM, Role
from backend.core.database import Database

PASSWORD = "velvet otter counts lamps"
AddAccount = Callable[..., AccountView]
MoveClock = Callable[[timedelta], None]


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """bcrypt at its lowest cost; the cost itself has its own test."""
    monkeypatch.setattr(passwords, "ROUNDS", 4)
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()


@pytest.fixture
def add_account(database: Database) -> AddAccount:
    """add_account("ann", Role.STEWARD) → AccountView; the password is PASSWORD."""

    def add(name: str = "ann", role: Role = Role.STEWARD) -> AccountView:
        with database.write() as session:
            return service.create(session, SYSTEM, name=name, role=role, password=PASSWORD)

    return add


@pytest.fixture(autouse=True)
def move_clock(monkeypatch: pytest.MonkeyPatch) -> MoveClock:
    """move_clock(timedelta(minutes=5)) → the portal's clock is five minutes further on.

    Between two moves it goes on by a microsecond each time it is read, so that no wait of a few
    seconds is over because the machine stood still.
    """
    moved = [clock.now()]

    def now() -> datetime:
        moved[0] += timedelta(microseconds=1)
        return moved[0]

    def move(step: timedelta) -> None:
        moved[0] += step

    monkeypatch.setattr(clock, "now", now)
    return move
