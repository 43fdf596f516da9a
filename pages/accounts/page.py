"""Decide who may sign in and with which role, end sessions, hand out API tokens."""

import streamlit as st

from backend.accounts import api_tokens, service, sessions
from backend.accounts.schemas import AccountView
from backend.core.access import Actor, Permission
from pages.accounts import account_list, identity_panel, request_view, token_list
from pages.shared import drawer, filters, role_table, session_list, shown_once, waiting
from pages.shell import calls, flash, guard, head
from pages.shell.errors import escape

SHOWN = 200
VIEWS = {
    "accounts": "Accounts",
    "sessions": "Live sessions",
    "tokens": "API tokens",
    "roles": "Roles",
    "request": "This request",
}


def accounts_view(actor: Actor, own_session_id: int) -> None:
    """The list; a chosen account with what can be done to it; the form for a new one."""
    changes = actor.may(Permission.ACCOUNTS_WRITE)
    name = filters.text("Name", "name", key="accounts.name", placeholder="part of it", width=320)
    after = st.query_params.get("after", "")
    page = calls.read(service.list_accounts, part=name, cursor=after, limit=SHOWN)
    chosen = account_list.table(page, name)
    if changes:
        account_list.create_form()
    if chosen is None:
        return
    view = calls.read(service.get, account_id=chosen)
    drawer.show(
        escape(view.name),
        lambda: account_details(chosen, actor, own_session_id),
        parameter="account",
        dialogs=lambda: _dialogs(view) if changes else None,
    )


def _dialogs(view: AccountView) -> None:
    account_list.dialogs(view)
    identity_panel.dialogs(view)


def account_details(account_id: int, actor: Actor, own_session_id: int) -> None:
    """One account: what it may do, its live sessions, and what an admin may change."""
    shown_once.show()
    view = calls.read(service.get, account_id=account_id)
    account_list.head(view)
    if actor.may(Permission.ACCOUNTS_WRITE):
        account_list.actions(view, own_id=actor.id)
        identity_panel.show(view, own_id=actor.id)
    with st.expander(f"What the role {view.role.value} may do"):
        role_table.draw_one(view.role, key="accounts.role")
    st.header("Live sessions", anchor=False)
    session_list.show(
        calls.read(sessions.list_live, account_id=account_id),
        own_session_id=own_session_id,
        key="accounts.chosen",
        may_end=actor.may(Permission.ACCOUNTS_WRITE),
    )


# gate
actor = guard.require(Permission.ACCOUNTS_READ)
head.draw("Accounts", "Who may sign in, with which role, and what programs may do.")
flash.show()
waiting.draw("accounts", None)  # accounts belong to no environment
if filters.number("account") is None:
    shown_once.show()  # else the drawer does, which stands over the page
# ask
view = filters.view(VIEWS, "accounts", key="accounts.view")
session = guard.signed_in()
own_session_id = session.session_id if session is not None else 0
# load, present, act
if view == "accounts":
    accounts_view(actor, own_session_id)
elif view == "sessions":
    session_list.show(
        calls.read(sessions.list_live),
        own_session_id=own_session_id,
        key="accounts.sessions",
        may_end=actor.may(Permission.ACCOUNTS_WRITE),
    )
elif view == "roles":
    role_table.draw_all(key="accounts.roles")
elif view == "request":
    request_view.show()
else:
    changes = actor.may(Permission.API_TOKENS_WRITE)
    if changes:
        token_list.create_form()
    listed = calls.read(api_tokens.list_tokens, cursor=filters.number("before"), limit=SHOWN)
    token_list.show(listed, changes=changes)
