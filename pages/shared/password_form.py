"""Changing one's own password: on "My account", and alone on the screen when it must be done."""

import streamlit as st

from backend.accounts import own_password
from backend.accounts.passwords import ADVISED_LENGTH, MIN_LENGTH
from backend.accounts.schemas import SignedIn
from backend.core.words import counted
from pages.shell import calls, flash, guard
from pages.shell.style import FORM_WIDTH


def draw(session: SignedIn) -> None:
    """The form; a changed password ends the other sessions."""
    with st.form("profile.password", clear_on_submit=True, width=FORM_WIDTH):
        current = _field("Current password", "current", autocomplete="current-password")
        new = _field(
            "New password",
            "new",
            help=f"At least {MIN_LENGTH} characters, {ADVISED_LENGTH} or more are better.",
        )
        again = _field("New password once more", "again")
        sent = st.form_submit_button("Change password", type="primary", key="profile.submit")
    if sent and new != again:
        st.warning("The two new passwords differ. Nothing was changed.")
    elif sent:
        ended = calls.run(
            own_password.change, current=current, new=new, session_id=session.session_id
        )
        if ended is not None:
            others = counted(ended, "other session")
            flash.success(f"Your password is changed; {others} ended.")
            st.rerun()


def must() -> None:
    """What somebody sees instead of every page until the password an admin knows is replaced."""
    session = guard.signed_in()
    if session is None or not session.must_change_password:
        st.rerun()
    _, middle, _ = st.columns([1, 2, 1])
    with middle:
        st.title("Choose your own password", anchor=False)
        flash.show()
        st.info(
            "An admin made the password you signed in with, so an admin knows it. "
            "Choose one of your own; then the portal opens.",
            icon=":material/key:",
        )
        draw(session)


def _field(
    label: str, name: str, *, autocomplete: str = "new-password", help: str | None = None
) -> str:
    return str(
        st.text_input(
            label, type="password", key=f"profile.{name}", autocomplete=autocomplete, help=help
        )
    )
