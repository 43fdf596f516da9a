"""The dialog that asks a signed-in person once more who they are, before a dangerous act."""

import streamlit as st

from auth import inline, oidc
from backend.accounts import provider_sessions, step_up
from backend.core.errors import PortalError
from pages.shared import confirm
from pages.shell import calls, errors, flash
from pages.shell.proof import PROOF

_TOLD = "step_up.told"
_WORDS = {"password": "Your password", "code": "Code from your authenticator app"}


def draw() -> None:
    """The dialog, while it is open; what was asked for is done again by the person."""
    if confirm.is_open(PROOF):
        _dialog()


def tell() -> None:
    """Before a page: why a trip to the identity provider confirmed nothing. Once."""
    error = oidc.last_error()
    if error and not st.session_state.get(_TOLD):
        st.session_state[_TOLD] = True
        flash.warning(oidc.html_free(error))


@st.dialog("Confirm that it is you", on_dismiss=confirm.close)
def _dialog() -> None:
    minutes = int(step_up.lifetime().total_seconds() // 60)
    st.markdown(
        f"What you asked for needs proof of who you are from the last {minutes} minutes. "
        "Nothing was done yet."
    )
    way = calls.read(step_up.way)
    if way == "identity provider":
        provider = calls.read(provider_sessions.provider_of)
        st.caption("You will come back to this page; then ask for it again.")
        if st.button("Sign in again", type="primary", key="step_up.provider"):
            confirm.close()
            oidc.ask_again(provider)
        return
    with st.form("step_up", border=False):
        typed = st.text_input(
            _WORDS[way],
            type="password" if way == "password" else "default",
            key="step_up.typed",
            autocomplete="current-password" if way == "password" else "one-time-code",
            help=None if way == "password" else "One of your recovery codes does, too.",
        )
        with st.container(horizontal=True):
            confirmed = st.form_submit_button("Confirm", type="primary", key="step_up.confirm")
            cancelled = st.form_submit_button("Cancel", key="step_up.cancel")
        inline.focus("field", PROOF)
    if confirmed:
        _prove(typed)
    elif cancelled:
        confirm.close()
        st.rerun()


def _prove(typed: str) -> None:
    try:
        calls.on_database(step_up.prove, proof=typed)
    except PortalError as exc:
        errors.show(exc)
        return
    if not confirm.go_back():
        flash.success("Confirmed. Now ask for it once more; what you typed is still there.")
    st.rerun()
