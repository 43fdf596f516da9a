"""See one's own account, change the password, end sessions in other browsers."""

import streamlit as st

from backend.accounts import sessions
from backend.core.access import Permission
from pages.shared import password_form, role_table, second_factor_form, session_list
from pages.shell import calls, flash, guard, head
from pages.shell.errors import escape

# gate
actor = guard.require(Permission.OWN_ACCOUNT)
head.draw(
    "My account", "Your password, your second factor and the browsers you are signed in with."
)
flash.show()
# load
session = guard.signed_in()
own_session_id = session.session_id if session is not None else 0
live = calls.read(sessions.list_live, account_id=actor.id)
# present
st.markdown(f"**{escape(actor.name)}**, role {actor.role.value}")
with st.expander("What I may do"):
    role_table.draw_one(actor.role, key="profile.role")
st.header("Sessions", anchor=False)
session_list.show(live, own_session_id=own_session_id, key="profile", with_names=False)
# ask and act
st.header("Password", anchor=False)
if session is not None and session.external:
    st.info("You sign in with the identity provider; your password is kept there.")
elif session is not None:
    password_form.draw(session)
    second_factor_form.draw(session)
