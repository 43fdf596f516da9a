"""My account: one's own sessions and password."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.accounts import passwords, repository, sessions
from backend.core.access import Actor
from backend.core.database import Database

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
