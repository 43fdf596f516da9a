"""The sign-in page: streamlit-authenticator's form in front of the portal's own accounts."""

from typing import Any

import streamlit as st

from auth import current, inline, oidc, ticket_form
from backend.accounts import emergency, providers, sign_in
from backend.core.access import Actor
from backend.core.database import get_database
from backend.core.errors import InvalidInput, PortalError

#: Shows the password form although local passwords are off.
EMERGENCY = "emergency"
_HALF_WAY = "auth.half_way"


def page() -> None:
    """Everything a stranger sees. A right password hands the browser over to the cookie route."""
    _, middle, _ = st.columns([1, 2, 1])
    with middle:
        st.title("Steward Portal", anchor=False)
        if oidc.page():
            return
        if _HALF_WAY in st.session_state:
            _second_step()
            return
        if emergency.passwords_are_off() and EMERGENCY not in st.query_params:
            if not providers.load().providers:
                st.info("Nobody can sign in here: local passwords are off, and no identity "
                        "provider is configured. An admin runs doctor on the server.")  # fmt: skip
            return
        form = _form()
        try:
            form.login(key="auth.sign_in")
        except sign_in.CodeNeeded as exc:
            st.session_state[_HALF_WAY] = exc.half_way
            st.rerun()
        except PortalError as exc:
            st.error(exc.message, icon=":material/error:")


def _second_step() -> None:
    """The code of the second factor; a right one hands the browser over as a password does."""
    with st.form("auth.code"):
        st.subheader("Second factor")
        code = st.text_input(
            "Code from your authenticator app",
            key="auth.code.typed",
            autocomplete="one-time-code",
            help="Six digits. One of your recovery codes does, too.",
        )
        sent = st.form_submit_button("Go on", type="primary", key="auth.code.send")
    if st.button("Sign in as somebody else", type="tertiary", key="auth.code.back"):
        del st.session_state[_HALF_WAY]
        st.rerun()
    if not sent:
        return
    try:
        actor = sign_in.enter_code(
            get_database(),
            st.session_state[_HALF_WAY],
            code=code,
            address=current.address(),
            device=current.device(),
        )
        # The page is replaced now; until then a second press comes here again.
        ticket_form.sign_in(actor)
    except PortalError as exc:
        st.error(exc.message, icon=":material/error:")


def _form() -> Any:
    """streamlit-authenticator's login form, with the portal behind it.

    `Authenticate.__init__` is left out on purpose: it would start the library's JavaScript cookie
    (readable by any script, valid for 30 days, not revocable) and its own credential store. Its
    `login` needs just the two controllers. Its form is drawn here: the library's own forbids
    password managers to fill it.
    """
    from streamlit_authenticator import Authenticate

    # mypy: the library has no types, so its class is Any
    class PortalForm(Authenticate):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            back = _Behind()
            self.authentication_controller = back
            self.cookie_controller = back

        def login(self, *, key: str) -> None:
            with st.form(key):
                st.subheader("Sign in", anchor=False)
                name = st.text_input("Username", autocomplete="username")
                password = st.text_input(
                    "Password", type="password", autocomplete="current-password"
                )
                sent = st.form_submit_button("Sign in", type="primary", width="stretch")
                inline.focus("field", key)
            if sent and self.authentication_controller.login(name, password):
                self.cookie_controller.set_cookie()

    return PortalForm()


class _Behind:
    """What the form calls: its controller of credentials and its controller of cookies."""

    def __init__(self) -> None:
        self._actor: Actor | None = None

    def login(self, name: str, password: str) -> bool:
        """The form was sent; raises PortalError with the sentence to show."""
        if not name.strip() or not password:
            raise InvalidInput("Give your name and your password.")
        self._actor = sign_in.authenticate(
            get_database(),
            name=name,
            password=password,
            address=current.address(),
            device=current.device(),
        )
        return True

    def set_cookie(self) -> None:
        """The form asks for the cookie after `login` said yes."""
        if self._actor is not None:
            ticket_form.sign_in(self._actor)
