"""The Accounts page: the review, and each action once, also when it comes too late."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.accounts import api_tokens, passwords, repository, service, sessions
from backend.accounts.names import name_key
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from tests.fixtures.pages import choose, unfold

PAGE = str(Path(__file__).resolve().parents[2] / "pages" / "accounts/page.py")
PASSWORD = "velvet otter counts lamps"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "ROUNDS", 4)


@pytest.fixture
def admin(real_sign_in: Callable[..., Actor]) -> Actor:
    return real_sign_in("admin", name="root")


@pytest.fixture
def ann(database: Database, admin: Actor) -> int:
    """Account id of a steward with one live session, first in the list."""
    with database.write() as session:
        view = service.create(session, SYSTEM, name="ann", role="steward", password=PASSWORD)
        sessions.open_session(
            session,
            account_id=view.id,
            address="10.0.0.9",
            user_agent="Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
        )
    return view.id


@pytest.fixture
def page(admin: Actor, ann: int) -> AppTest:
    return AppTest.from_file(PAGE, default_timeout=60).run()


def part(page: AppTest, view: str) -> AppTest:
    """Another part of the page, as its button opens it."""
    page.button_group(key="accounts.view").set_value(view)
    return page.run()


def role_of(database: Database, name: str) -> Role:
    with database.read() as session:
        row = repository.find_account(session, name_key(name))
        assert row is not None
        return Role(row.role)


def click(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


class TestReview:
    def test_shows_user_role_last_sign_in_and_live_sessions(self, page: AppTest) -> None:
        frame = page.dataframe[0].value
        assert list(frame["Name"]) == ["ann", "root"]
        assert list(frame["Role"]) == ["steward", "admin"]
        assert list(frame["Live sessions"]) == [1, 1]
        assert not frame["Last sign-in"].any()
        assert page.dataframe[0].proto.placeholder == "never"

    def test_no_hash_and_no_token_is_in_the_page(self, page: AppTest) -> None:
        assert "bcrypt" not in str(page.main)

    def test_says_what_each_role_may_do(self, page: AppTest) -> None:
        frame = part(page, "roles").dataframe[0].value
        assert list(frame.columns[2:]) == ["Viewer", "Steward", "Operator", "Admin", "Auditor"]
        assert all(frame["Admin"])
        mounts = frame[frame["What"].str.startswith("Mount, unmount")].iloc[0]
        assert [bool(mounts[role]) for role in frame.columns[2:]] == [
            *(False, False, True, True, False)
        ]

    def test_the_drawer_says_what_the_accounts_role_may_do(self, page: AppTest) -> None:
        opened = choose(page, "accounts.table", 0)
        assert any(item.label == "What the role steward may do" for item in opened.expander)
        shown = [table.value for table in opened.dataframe if "Area" in table.value]
        assert "Tokenize tables" in set(shown[0]["What"])
        assert "Make backups" not in set(shown[0]["What"])


class TestCreate:
    def test_its_fields_are_made_when_it_is_unfolded_and_stay_for_what_was_typed_in_them(
        self, page: AppTest
    ) -> None:
        assert "accounts.create.name" not in [each.key for each in page.text_input]
        unfold(page, "accounts.create.form")
        page.session_state["accounts.create.form"] = False
        page.run()
        assert "accounts.create.name" in [each.key for each in page.text_input]

    def send(self, page: AppTest, name: str, password: str) -> AppTest:
        unfold(page, "accounts.create.form")
        page.text_input(key="accounts.create.name").set_value(name)
        page.text_input(key="accounts.create.password").set_value(password)
        page.selectbox(key="accounts.create.role").set_value("operator")
        return click(page, "accounts.create.submit")

    def test_makes_the_account(self, page: AppTest, database: Database) -> None:
        self.send(page, "ben", PASSWORD)
        assert "ben is created" in page.success[0].value
        assert role_of(database, "ben") is Role.OPERATOR

    def test_shows_a_random_password_once(self, page: AppTest) -> None:
        self.send(page, "ben", "")
        (shown,) = [code.value for code in page.code]
        assert len(shown) == 23
        page.run()
        assert not page.code

    def test_says_what_is_wrong(self, page: AppTest) -> None:
        self.send(page, "ANN", PASSWORD)
        assert "ANN already" in page.warning[0].value
        self.send(page, "ben", "short")
        assert "at least 8" in page.warning[0].value
        assert page.text_input(key="accounts.create.name").value == "ben", "nobody types it again"

    def test_is_empty_again_afterwards(self, page: AppTest) -> None:
        self.send(page, "ben", PASSWORD)
        assert page.text_input(key="accounts.create.name").value == ""
        assert page.text_input(key="accounts.create.password").value == ""


class TestActions:
    def test_saves_a_role(self, page: AppTest, database: Database, ann: int) -> None:
        choose(page, "accounts.table", 0)
        page.selectbox(key=f"accounts.role.{ann}.1").set_value("viewer").run()
        click(page, "accounts.save_role")
        assert role_of(database, "ann") is Role.VIEWER
        assert "ann has the role viewer now" in page.success[0].value

    def test_an_admin_with_an_old_page_is_told_and_changes_nothing(
        self, page: AppTest, database: Database, ann: int
    ) -> None:
        choose(page, "accounts.table", 0)
        page.selectbox(key=f"accounts.role.{ann}.1").set_value("admin").run()
        with database.write() as session:
            service.set_role(session, SYSTEM, account_id=ann, role="viewer", version=1)
        click(page, "accounts.save_role")
        assert role_of(database, "ann") is Role.VIEWER
        assert "changed by somebody else" in page.warning[0].value

    def test_disables_after_asking(self, page: AppTest, database: Database) -> None:
        choose(page, "accounts.table", 0)
        click(page, "accounts.disable")
        click(page, "accounts.disable.dialog.confirm")
        assert "ann is disabled" in page.success[0].value
        assert [*map(list, page.dataframe[0].value["State"])] == [["disabled"], ["enabled"]]
        assert list(page.dataframe[0].value["Live sessions"]) == [0, 1]

    def test_offers_to_revoke_the_tokens_that_it_made(
        self, page: AppTest, database: Database, ann: int
    ) -> None:
        with database.write() as session:
            maker = Actor(ann, "ann", Role.ADMIN, "user")
            api_tokens.add(session, maker, name="nightly", role="viewer")
        choose(page, "accounts.table", 0)
        click(page, "accounts.disable")
        assert "nightly (viewer)" in str([each.value for each in page.markdown])
        page.checkbox(key="accounts.revoke_tokens").check().run()
        click(page, "accounts.disable.dialog.confirm")
        with database.read() as session:
            (view,) = api_tokens.list_tokens(session, SYSTEM).items
        assert (view.state, view.made_by) == ("revoked", "ann (disabled)")

    def test_resets_a_password_and_shows_it_once(self, page: AppTest) -> None:
        choose(page, "accounts.table", 0)
        click(page, "accounts.reset")
        click(page, "accounts.reset.dialog.confirm")
        assert len(page.code[0].value) == 23
        page.run()
        assert not page.code

    def test_nobody_can_disable_themselves(self, page: AppTest) -> None:
        choose(page, "accounts.table", 1)
        assert page.button(key="accounts.disable").disabled

    def test_says_that_more_are_live_than_are_read(
        self, page: AppTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from pages.shared import session_list

        monkeypatch.setattr(session_list, "SHOWN", 0)
        part(page, "sessions")
        assert any(c.value.endswith("only in the CSV.") for c in page.caption)
        monkeypatch.setattr(sessions, "MAX_LISTED", 1)
        page.run()
        assert any("It has the 1 that were used last" in c.value for c in page.caption)

    def test_ends_a_session(self, page: AppTest, database: Database, ann: int) -> None:
        with database.read() as session:
            (view,) = sessions.list_live(session, SYSTEM, account_id=ann)
        part(page, "sessions")
        assert any(
            "Firefox on Linux at 10\\.0\\.0\\.9" in m.value or "10.0.0.9" in m.value
            for m in page.markdown
        )
        click(page, f"accounts.sessions.end.{view.id}")
        with database.read() as session:
            assert sessions.list_live(session, SYSTEM, account_id=ann) == []


class TestAddress:
    def test_each_part_has_its_own(self, page: AppTest) -> None:
        part(page, "sessions")
        assert page.query_params["view"] == "sessions"
        page.query_params["view"] = "tokens"
        page.run()
        assert [each for each in page.expander if each.label == "Make an API token"]


class TestTokens:
    def test_an_open_form_stays_open_whatever_is_said_above_it(self, page: AppTest) -> None:
        """Its element is another one then, which a browser alone would draw folded up."""
        part(page, "tokens")
        unfold(page, "tokens.create.form")
        [form] = [each for each in page.expander if each.label == "Make an API token"]
        assert form.proto.expanded

    def test_is_shown_once_and_works(self, page: AppTest, database: Database) -> None:
        part(page, "tokens")
        unfold(page, "tokens.create.form")
        page.text_input(key="tokens.create.name").set_value("nightly")
        page.selectbox(key="tokens.create.role").set_value("operator")
        click(page, "tokens.create.submit")
        raw = page.code[0].value
        with database.read() as session:
            assert api_tokens.authenticate(session, raw).role is Role.OPERATOR
        page.run()
        assert not page.code
        assert raw not in str(page.main)

    def test_is_revoked_after_asking(self, page: AppTest, database: Database) -> None:
        with database.write() as session:
            made = api_tokens.add(session, SYSTEM, name="nightly", role="viewer")
        part(page, "tokens")
        table = next(frame.value for frame in page.dataframe if "ID" in frame.value.columns)
        assert table["ID"].tolist() == [made.view.id]
        choose(page, "tokens.table", 0)
        click(page, "tokens.revoke")
        click(page, "tokens.revoke.dialog.confirm")
        with database.read() as session:
            (view,) = api_tokens.list_tokens(session, SYSTEM).items
        assert view.id == made.view.id
        assert view.revoked_by == "root"


class TestRoleTakenAway:
    def test_the_next_action_is_refused(
        self, page: AppTest, database: Database, admin: Actor
    ) -> None:
        unfold(page, "accounts.create.form")
        with database.write() as session:
            service.create(session, SYSTEM, name="zoe", role="admin", password=PASSWORD)
            service.set_role(session, SYSTEM, account_id=admin.id, role="viewer", version=1)
        page.text_input(key="accounts.create.name").set_value("mallory")
        page.text_input(key="accounts.create.password").set_value(PASSWORD)
        page.button(key="accounts.create.submit").click().run()
        with database.read() as session:
            assert repository.find_account(session, "mallory") is None


class TestManyAccounts:
    def test_every_one_can_be_reached(
        self, page: AppTest, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with database.write() as session:
            for number in range(401):
                service.add_account(
                    session, SYSTEM, name=f"p{number:03}", role=Role.VIEWER, stored=None
                )
        seen: list[str] = []
        for _ in range(3):
            page.run()
            seen += list(page.dataframe[0].value["Name"])
            if any(button.key == "accounts.next" for button in page.button):
                page.button(key="accounts.next").click().run()
        assert len(seen) == len(set(seen)) == 403
        click(page, "accounts.first")
        assert page.dataframe[0].value["Name"][0] == "ann"
        page.text_input(key="accounts.name").set_value("P40").run()
        assert list(page.dataframe[0].value["Name"]) == ["p400"]


class TestAuditor:
    @pytest.fixture
    def page(self, admin: Actor, ann: int, real_sign_in: Callable[..., Actor]) -> AppTest:
        real_sign_in("auditor", name="zoe")
        return AppTest.from_file(PAGE, default_timeout=60).run()

    def test_sees_everything_and_is_offered_nothing_to_change(
        self, page: AppTest, database: Database
    ) -> None:
        with database.write() as session:
            api_tokens.add(session, SYSTEM, name="nightly", role="operator")
        assert list(page.dataframe[0].value["Name"]) == ["ann", "root", "zoe"]
        choose(page, "accounts.table", 0)
        assert "10.0.0.9" in " ".join(text.value for text in page.markdown)
        for view, table in (("accounts", ""), ("sessions", ""), ("tokens", "tokens.table")):
            part(page, view)
            if table:
                assert list(page.dataframe[0].value["Name"]) == ["nightly"]
                choose(page, table, 0)
            assert not page.exception
            assert [button.label for button in page.button] == []
