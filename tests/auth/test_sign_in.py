"""The sign-in form under AppTest: streamlit-authenticator's form, the portal's accounts."""

import re
import time

import pyotp
import pytest
import streamlit as st
from sqlalchemy import select, update
from streamlit.testing.v1 import AppTest

from auth import current, oidc, ticket_form
from backend.accounts import passwords, provider_flows, second_factor, service, sign_in
from backend.core import clock
from backend.core.access import SYSTEM, Actor
from backend.core.database import Database
from backend.models.accounts import Account, SignInTicket

PASSWORD = "velvet otter counts lamps"


def script() -> None:
    from auth import sign_in

    sign_in.page()


@pytest.fixture
def form(database: Database, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The form before anything was typed; there is an account `ann`."""
    monkeypatch.setattr(passwords, "ROUNDS", 4)
    passwords._nobody.cache_clear()
    # AppTest has neither cookies nor an address.
    monkeypatch.setattr(current, "browser_nonce", lambda: "nonce")
    monkeypatch.setattr(current, "address", lambda: "10.0.0.1")
    monkeypatch.setattr(current, "device", lambda: "")
    with database.write() as session:
        service.create(session, SYSTEM, name="ann", role="viewer", password=PASSWORD)
    return AppTest.from_function(script, default_timeout=60).run()


def send(form: AppTest, name: str, password: str) -> AppTest:
    form.text_input[0].set_value(name)
    form.text_input[1].set_value(password)
    return form.button[0].click().run()


def tickets(database: Database) -> int:
    with database.read() as session:
        return len(session.scalars(select(SignInTicket)).all())


def handed_over(form: AppTest) -> str:
    """The form that posts itself; not the script that only sets the focus."""
    bodies = [element.proto.body for element in form.get("html")]
    return "".join(body for body in bodies if "portal-focus" not in body)


class TestForm:
    def test_is_one_that_password_managers_fill_without_the_librarys_cookie(
        self, form: AppTest
    ) -> None:
        assert not form.exception
        hints = [field.proto.autocomplete for field in form.text_input]
        assert hints == ["username", "current-password"]
        assert [field.label for field in form.text_input] == ["Username", "Password"]
        assert form.text_input[1].proto.type == form.text_input[1].proto.PASSWORD
        assert not form.get("component_instance")

    def test_the_right_password_hands_the_browser_over_by_post(
        self, form: AppTest, database: Database
    ) -> None:
        send(form, "Ann", PASSWORD)
        assert not form.error
        body = handed_over(form)
        assert 'method="post" action="/auth/sign-in"' in body
        assert re.search(r'name="ticket" value="[A-Za-z0-9_-]{43}"', body)
        assert PASSWORD not in body
        assert tickets(database) == 1

    @pytest.mark.parametrize(
        ("name", "password"),
        [("ann", "wrong"), ("nobody", PASSWORD), ("ann", f" {PASSWORD}")],
    )
    def test_anything_else_gets_one_sentence_and_no_ticket(
        self, form: AppTest, database: Database, name: str, password: str
    ) -> None:
        send(form, name, password)
        assert [error.value for error in form.error] == [sign_in.REFUSED]
        assert handed_over(form) == ""
        assert tickets(database) == 0

    @pytest.mark.parametrize(("name", "password"), [("", ""), ("ann", ""), (" ", PASSWORD)])
    def test_a_form_with_a_hole_is_no_try(
        self, form: AppTest, database: Database, name: str, password: str
    ) -> None:
        for _ in range(6):  # as often as guesses that are made to wait
            send(form, name, password)
        assert [error.value for error in form.error] == ["Give your name and your password."]
        send(form, "ann", PASSWORD)
        assert not form.error
        assert tickets(database) == 1

    def test_says_how_long_to_wait_after_many_wrong_ones(self, form: AppTest) -> None:
        for _ in range(6):
            send(form, "ann", "wrong")
        assert re.fullmatch(r"Too many tries\. Wait \d+ seconds, .*", form.error[0].value)

    def test_a_browser_without_cookies_is_told(
        self, form: AppTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(current, "browser_nonce", lambda: "")
        send(form, "ann", PASSWORD)
        assert "Allow cookies" in form.error[0].value


class TestSecondFactor:
    @pytest.fixture
    def app(self, form: AppTest, database: Database) -> pyotp.TOTP:
        with database.write() as session:
            view = service.list_accounts(session, SYSTEM).items[0]
            ann = Actor(id=view.id, name=view.name, role=view.role, kind="user")
            app = pyotp.TOTP(second_factor.begin(session, ann).secret)
        second_factor.confirm(database, ann, code=app.now())
        return app

    @staticmethod
    def enter(form: AppTest, code: str) -> None:
        form.text_input[0].set_value(code)
        form.button[0].click().run()

    def stopped(self, form: AppTest, app: pyotp.TOTP, monkeypatch: pytest.MonkeyPatch) -> None:
        """Enter a right code in a script that a second press stops before it hands over."""
        send(form, "ann", PASSWORD)
        with monkeypatch.context() as patch:
            patch.setattr(ticket_form, "sign_in", lambda _: st.stop())
            self.enter(form, app.at(int(time.time()) + 30))

    def test_the_code_hands_the_browser_over(
        self, form: AppTest, database: Database, app: pyotp.TOTP
    ) -> None:
        send(form, "ann", PASSWORD)
        assert (handed_over(form), tickets(database)) == ("", 0)
        self.enter(form, "000000")
        assert [error.value for error in form.error] == [sign_in.WRONG_CODE]
        # The code of the next half minute: that of this one was used to set the app up.
        self.enter(form, app.at(int(time.time()) + 30))
        assert not form.error
        assert 'name="ticket"' in handed_over(form)

    def test_who_presses_twice_is_let_in(
        self, form: AppTest, database: Database, app: pyotp.TOTP, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.stopped(form, app, monkeypatch)
        assert tickets(database) == 0
        form.button[0].click().run()
        assert not form.error
        assert 'name="ticket"' in handed_over(form)

    def test_not_where_the_password_was_changed_between_the_presses(
        self, form: AppTest, database: Database, app: pyotp.TOTP, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.stopped(form, app, monkeypatch)
        with database.write() as session:
            session.execute(update(Account).values(password_changed_at=clock.now()))
        form.button[0].click().run()
        assert "the account changed meanwhile" in form.error[0].value
        assert tickets(database) == 0


class TestTurnedAway:
    def test_the_address_says_why_in_one_of_the_portals_own_sentences(self, form: AppTest) -> None:
        form.query_params["refused"] = "answer"
        form.run()
        assert [error.value for error in form.error] == [oidc.html_free(provider_flows.NO_TRIP)]
        assert "refused" not in form.query_params

    def test_no_other_words_come_from_an_address(self, database: Database, form: AppTest) -> None:
        form.query_params["refused"] = "Call 555-0100 and tell your password"
        form.run()
        assert not form.error
