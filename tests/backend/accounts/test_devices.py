"""A flood of wrong passwords from elsewhere does not keep a known browser out."""

import pytest

from backend.accounts import backoff, devices, service, sign_in
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.core.errors import NotAuthenticated, TooManyAttempts

PASSWORD = "velvet otter counts lamps"


@pytest.fixture
def cookie(database: Database) -> str:
    """The cookie that an earlier sign-in of ada left in her browser."""
    with database.write() as session:
        made = service.create(session, SYSTEM, name="ada", role=Role.VIEWER, password=PASSWORD)
        return devices.issue(session, account_id=made.id)


def tried(database: Database, password: str, *, address: str, device: str = "") -> str:
    try:
        sign_in.authenticate(
            database, name="ada", password=password, address=address, device=device
        )
    except (NotAuthenticated, TooManyAttempts) as exc:
        return type(exc).__name__
    return "signed in"


@pytest.fixture
def flooded(database: Database, cookie: str) -> str:
    """As after a hundred wrong passwords for ada from one other address, and as many from hers."""
    for address in ("6.6.6.6", "10.0.0.1"):
        for _ in range(100):
            with database.write() as session:
                try:
                    backoff.count_try(session, name_key="ada", address=address)
                except TooManyAttempts:
                    break
    return cookie


def test_the_person_with_the_right_password_gets_in(database: Database, flooded: str) -> None:
    assert tried(database, PASSWORD, address="10.0.0.1") == "TooManyAttempts"
    assert tried(database, PASSWORD, address="10.0.0.1", device=flooded) == "signed in"
    assert tried(database, PASSWORD, address="6.6.6.6") == "TooManyAttempts"  # others still wait


def test_a_known_browser_has_a_limit_of_its_own(database: Database, cookie: str) -> None:
    wrong = [tried(database, "wrong", address=f"10.0.0.{n}", device=cookie) for n in range(7)]
    assert wrong == ["NotAuthenticated"] * 5 + ["TooManyAttempts"] * 2
    assert tried(database, PASSWORD, address="10.0.0.99") == "signed in"


@pytest.mark.parametrize("forge", ["other account", "other signature", "cut", "empty"])
def test_a_forged_cookie_is_a_strangers(database: Database, flooded: str, forge: str) -> None:
    owner, device, signature = flooded.split(".")
    value = {
        "other account": f"{int(owner) + 1}.{device}.{signature}",
        "other signature": f"{owner}.{device}x.{signature}",
        "cut": f"{owner}.{device}",
        "empty": "",
    }[forge]
    assert tried(database, PASSWORD, address="10.0.0.1", device=value) == "TooManyAttempts"
