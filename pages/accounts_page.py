"""Decide who may sign in and with which role, end sessions, hand out API tokens."""

import streamlit as st

from backend.accounts import api_tokens, service, sessions
from backend.core.access import Permission
from pages.shell import calls, flash, guard
from pages.widgets import account_list, session_list, shown_once, token_list

# gate
actor = guard.require(Permission.ACCOUNTS_READ)
st.title("Accounts")
flash.show()
shown_once.show()
# ask
people, live, tokens = st.tabs(["Accounts", "Live sessions", "API tokens"], key="accounts.tab")
# load
accounts = calls.read(service.list_accounts)
open_sessions = calls.read(sessions.list_live)
issued = calls.read(api_tokens.list_tokens)
session = guard.signed_in()
own_session_id = session.session_id if session is not None else 0
# present and act
with people:
    chosen = account_list.table(accounts)
    if chosen is not None:
        account_list.actions(chosen, own_id=actor.id)
        session_list.show(
            [view for view in open_sessions if view.account_id == chosen.id],
            own_session_id=own_session_id,
            key="accounts.chosen",
        )
    else:
        st.caption("Choose an account to change its role, reset its password or disable it.")
    account_list.create_form()
with live:
    session_list.show(open_sessions, own_session_id=own_session_id, key="accounts.sessions")
with tokens:
    token_list.create_form()
    token_list.show(issued)
