"""A flood of wrong passwords from elsewhere does not keep a known browser out."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from backend.accounts import backoff, devices, own_password, service, sessions, sign_in, step_up
from backend.accounts.sign_in import CodeNeeded
from backend.core import clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import NotAuthenticated, TooManyAttempts
from backend.models.accounts import AccountSession
from tests.backend.accounts.test_second_factor import code_of, set_up

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


class TestOtherDoors:
    """A flood at the sign-in form stops nobody from proving who they are elsewhere."""

    def test_an_open_session_is_proven_anew(self, database: Database, flooded: str) -> None:
        ada, yesterday = _signed_in(database), clock.now() - timedelta(days=1)
        with database.write() as session:
            session.execute(update(AccountSession).values(proven_at=yesterday))
        step_up.prove(database, ada, proof=PASSWORD)
        with database.read() as session:
            assert session.scalars(select(AccountSession.proven_at)).one() > yesterday

    def test_ones_own_password_is_changed(self, database: Database, flooded: str) -> None:
        ada = _signed_in(database)
        new = "another fine pass phrase"
        ended = own_password.change(
            database, ada, current=PASSWORD, new=new, session_id=ada.session_id or 0
        )
        assert ended == 0  # other sessions; there was none
        assert tried(database, new, address="10.0.0.1", device=flooded) == "signed in"

    def test_guesses_in_one_open_session_hold_up_no_other(
        self, database: Database, cookie: str
    ) -> None:
        found, mine = _signed_in(database), _signed_in(database)
        for _ in range(5):
            with pytest.raises(NotAuthenticated):
                step_up.prove(database, found, proof="wrong")
        with pytest.raises(TooManyAttempts):
            step_up.prove(database, found, proof=PASSWORD)
        with pytest.raises(TooManyAttempts):  # the same password, by the other door
            own_password.change(
                database, found, current=PASSWORD, new="x" * 20, session_id=found.session_id or 0
            )
        step_up.prove(database, mine, proof=PASSWORD)

    def test_a_code_of_the_second_factor_gets_through(
        self, database: Database, flooded: str
    ) -> None:
        """The flood is about passwords; the second step has its own counters."""
        with database.read() as session:
            ada = service.get_by_name(session, SYSTEM, name="ada")
        secret, _ = set_up(database, ada)
        with pytest.raises(CodeNeeded) as needed:
            sign_in.authenticate(
                database, name="ada", password=PASSWORD, address="10.0.0.1", device=flooded
            )
        half_way = needed.value.half_way
        for _ in range(5):
            with pytest.raises(NotAuthenticated):
                sign_in.enter_code(database, half_way, code="000000", address="6.6.6.6")
        used = code_of(secret, steps=1)
        sign_in.enter_code(database, half_way, code=used, address="10.0.0.1", device=flooded)

    def test_one_line_of_many_addresses_is_one(self, database: Database) -> None:
        with pytest.raises(TooManyAttempts), database.write() as session:
            for number in range(31):
                address = f"2001:db8:0:7::{number + 1:x}"
                backoff.count_try(session, name_key=f"somebody {number}", address=address)
        with database.write() as session:  # the neighbour's line, and an office's old address
            backoff.count_try(session, name_key="ada", address="2001:db8:0:8::1")
            backoff.count_try(session, name_key="ada", address="198.51.100.1")


def _signed_in(database: Database) -> Actor:
    with database.read() as session:
        account = service.get_by_name(session, SYSTEM, name="ada")
    with database.write() as session:
        raw = sessions.open_session(session, account_id=account.id, address="", user_agent="")
    with database.read() as session:
        found = sessions.actor_for(session, raw)
    assert found is not None
    return found.actor
