"""My account: one's own sessions and password."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from backend.accounts import passwords, repository, second_factor, sessions, totp
from backend.core import clock, role_words
from backend.core.access import Actor, Role
from backend.core.database import Database
from backend.core.settings import Settings
from backend.models.accounts import AccountSession

PAGE = str(Path(__file__).resolve().parents[2] / "pages" / "profile/page.py")
PORTAL = PAGE.replace("profile/page.py", "portal.py")
OLD, NEW = "velvet otter counts lamps", "another fine pass phrase"


@pytest.fixture
def ann(
    database: Database, real_sign_in: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch
) -> Actor:
    """A viewer with the password OLD, signed in here and in two other browsers."""
    monkeypatch.setattr(passwords, "ROUNDS", 4)
    actor = real_sign_in("viewer", name="ann")
    with database.write() as session:
        row = repository.get_account(session, actor.id)
        row.password_hash = passwords.hash_password(OLD)
        for _ in range(2):
            sessions.open_session(session, account_id=actor.id, address="", user_agent="")
    return actor


@pytest.fixture
def page(ann: Actor) -> AppTest:
    return AppTest.from_file(PAGE, default_timeout=60).run()


def send(page: AppTest, current: str, new: str, again: str) -> AppTest:
    for key, value in (("current", current), ("new", new), ("again", again)):
        page.text_input(key=f"profile.{key}").set_value(value)
    return page.button(key="profile.submit").click().run()


def live(database: Database, actor: Actor) -> int:
    with database.read() as session:
        return len(sessions.list_live(session, actor, account_id=actor.id))


def test_says_what_one_may_do(page: AppTest, ann: Actor) -> None:
    [shown] = [table.value for table in page.dataframe if "Area" in table.value]
    may = {each.words for each in role_words.abilities() if ann.role in each.roles}
    assert set(shown["What"]) == may


class TestPassword:
    def test_changing_it_ends_the_other_sessions_and_not_this_one(
        self, page: AppTest, database: Database, ann: Actor
    ) -> None:
        send(page, OLD, NEW, NEW)
        assert "2 other sessions ended" in page.success[0].value
        assert live(database, ann) == 1
        assert page.title[0].value == "My account"

    @pytest.mark.parametrize(
        ("current", "new", "again", "why"),
        [
            (OLD, NEW, NEW + "x", "differ"),
            ("wrong", NEW, NEW, "current password is wrong"),
            (OLD, "short", "short", "at least 8"),
        ],
    )
    def test_a_mistake_changes_nothing(
        self, page: AppTest, database: Database, ann: Actor,
        current: str, new: str, again: str, why: str,
    ) -> None:  # fmt: skip
        send(page, current, new, again)
        assert why in page.warning[0].value
        assert live(database, ann) == 3

    def test_password_fields_are_never_prefilled(self, page: AppTest) -> None:
        assert [field.proto.default for field in page.text_input] == ["", "", ""]
        assert all(field.proto.type == field.proto.PASSWORD for field in page.text_input)


class TestAPasswordAnAdminKnows:
    @pytest.fixture
    def portal(self, database: Database, ann: Actor) -> AppTest:
        """The whole portal after an admin has reset ann's password to OLD."""
        with database.write() as session:
            repository.get_account(session, ann.id).must_change_password = True
        return AppTest.from_file(PORTAL, default_timeout=60)

    def test_must_be_changed_before_any_page_opens(
        self, portal: AppTest, database: Database, ann: Actor
    ) -> None:
        with database.write() as session:
            repository.get_account(session, ann.id).created_by = "root"
        portal.run()
        assert [title.value for title in portal.title] == ["Choose your own password"]
        assert not portal.get("page_link")
        send(portal, OLD, NEW, NEW)
        assert [title.value for title in portal.title] == ["Overview"]

    @pytest.mark.parametrize("file", ["jobs/page.py", "mounts/page.py", "overview/page.py"])
    def test_a_page_opened_past_the_form_stays_shut(
        self, portal: AppTest, database: Database, ann: Actor, file: str
    ) -> None:
        with database.write() as session:
            repository.get_account(session, ann.id).created_by = "root"
        page = AppTest.from_file(PAGE.replace("profile/page.py", file), default_timeout=60).run()
        assert not page.title
        assert "password of your own" in page.warning[0].value

    def test_the_first_start_made_is_only_reminded_of(
        self, portal: AppTest, database: Database, ann: Actor
    ) -> None:
        with database.write() as session:
            row = repository.get_account(session, ann.id)
            row.created_by, row.password_changed_at = "system", row.created_at
        portal.run()
        assert [title.value for title in portal.title] == ["Overview"]
        assert any("My account" in info.value for info in portal.info)


class TestSessions:
    def test_ends_another_browsers_session(
        self, page: AppTest, database: Database, ann: Actor
    ) -> None:
        ends = [b for b in page.button if str(b.key).startswith("profile.end.")]
        assert len(ends) == 2
        ends[0].click().run()
        assert live(database, ann) == 2


class TestSecondFactor:
    @pytest.fixture
    def portal(self, ann: Actor) -> AppTest:
        return AppTest.from_file(PORTAL, default_timeout=60).run().switch_page(PAGE).run()

    def test_it_is_set_up_with_the_apps_code(
        self, portal: AppTest, database: Database, ann: Actor
    ) -> None:
        portal.button(key="second_factor.begin").click().run()
        secret = "".join(portal.code[0].value.split())
        portal.text_input(key="second_factor.code").set_value("000000")
        portal.button(key="second_factor.send").click().run()
        assert "The code is wrong" in portal.warning[0].value
        portal.text_input(key="second_factor.code").set_value(pyotp.TOTP(secret).now())
        portal.button(key="second_factor.send").click().run()
        assert len(portal.code[0].value.split()) == totp.RECOVERY_CODES
        portal.button(key="second_factor.kept").click().run()
        assert not portal.exception
        assert not portal.code
        with database.read() as session:
            assert second_factor.status(session, ann).on

    def test_an_old_sign_in_is_asked_for_the_password_first(
        self, portal: AppTest, database: Database, ann: Actor
    ) -> None:
        with database.write() as session:
            hour_ago = clock.now() - timedelta(hours=1)
            session.execute(update(AccountSession).values(proven_at=hour_ago))
        portal.button(key="second_factor.begin").click().run()
        assert not portal.code
        portal.button(key="step_up.cancel").click().run()
        assert "step_up.typed" not in [each.key for each in portal.text_input]
        assert not portal.success  # neither proven nor done
        portal.button(key="second_factor.begin").click().run()
        portal.text_input(key="step_up.typed").set_value(OLD)
        portal.button(key="step_up.confirm").click().run()
        assert "ask for it once more" in portal.success[0].value
        portal.button(key="second_factor.begin").click().run()
        assert portal.code
        assert not portal.exception

    def test_where_the_role_asks_for_one_it_stands_before_every_page(
        self, ann: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        must = Settings(second_factor_roles=(Role.VIEWER,))
        monkeypatch.setattr(second_factor, "get_settings", lambda: must)
        portal = AppTest.from_file(PORTAL, default_timeout=60).run()
        assert portal.title[0].value == "Set up your second factor"
        portal.button(key="second_factor.begin").click().run()
        secret = "".join(portal.code[0].value.split())
        portal.text_input(key="second_factor.code").set_value(pyotp.TOTP(secret).now())
        portal.button(key="second_factor.send").click().run()
        assert portal.title[0].value == "Set up your second factor"  # the codes are still unseen
        portal.button(key="second_factor.kept").click().run()
        assert portal.title[0].value == "Overview"
