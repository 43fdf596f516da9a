"""See one's own account, change the password, end sessions in other browsers."""

import streamlit as st

from backend.accounts import service, sessions
from backend.accounts.passwords import ADVISED_LENGTH, MIN_LENGTH
from backend.core.access import Permission
from pages.shell import calls, flash, guard
from pages.shell.errors import escape
from pages.widgets import session_list

# gate
actor = guard.require(Permission.OWN_ACCOUNT)
st.title("My account")
flash.show()
# load
session = guard.signed_in()
own_session_id = session.session_id if session is not None else 0
live = calls.read(sessions.list_live, account_id=actor.id)
# present
st.markdown(f"**{escape(actor.name)}**, role {actor.role.value}")
st.subheader("Sessions")
session_list.show(live, own_session_id=own_session_id, key="profile", with_names=False)
# ask and act
st.subheader("Password")
if session is not None and session.external:
    st.info("You sign in with the identity provider; your password is kept there.")
else:
    with st.form("profile.password", clear_on_submit=True):
        current = st.text_input(
            "Current password",
            type="password",
            key="profile.current",
            autocomplete="current-password",
        )
        new = st.text_input(
            "New password",
            type="password",
            key="profile.new",
            autocomplete="new-password",
            help=f"At least {MIN_LENGTH} characters, {ADVISED_LENGTH} or more are better.",
        )
        again = st.text_input(
            "New password once more",
            type="password",
            key="profile.again",
            autocomplete="new-password",
        )
        sent = st.form_submit_button("Change password", type="primary", key="profile.submit")
    if sent and new != again:
        st.warning("The two new passwords differ. Nothing was changed.")
    elif sent:
        ended = calls.write(
            service.change_own_password, current=current, new=new, session_id=own_session_id
        )
        if ended is not None:
            flash.success(f"Your password is changed; {ended} other session(s) ended.")
            st.rerun()
