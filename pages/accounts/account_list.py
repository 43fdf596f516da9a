"""The access review: every account, and what an admin may do with the chosen one.

What was seen decides: buttons carry the version of the account as it was drawn, so that an admin
whose page is old is told instead of overwriting.
"""

from typing import Any

import streamlit as st

from backend.accounts import service
from backend.accounts.passwords import ADVISED_LENGTH, MIN_LENGTH
from backend.accounts.schemas import AccountPage, AccountView
from backend.core.access import Role
from backend.core.words import counted
from pages.accounts import token_list
from pages.shared import confirm, filters, folds, reason, shown_once, tables, times
from pages.shell import calls, flash
from pages.shell.errors import escape
from pages.shell.style import FORM_WIDTH

ROLES = tuple(role.value for role in Role)
_FORM = "accounts.create.form"
_MADE = "accounts.create.made"


def table(page: AccountPage, part: str) -> int | None:
    """Draw the list; returns the id of the chosen account, which the address names.

    part: of a name, what the list was filtered with.
    """
    if not page.items:
        st.info("No account fits this name.")
        return filters.number("account")
    opened = tables.choose(
        page.items,
        _row,
        id_of=lambda view: view.id,
        current=filters.number("account"),
        key="accounts.table",
        alt="Accounts",
        states=("State",),
        file="accounts",
        placeholder="never",
        everything=lambda: tables.every_page(service.list_accounts, part=part),
        foot=lambda: filters.pages(page.next_cursor, parameter="after", key="accounts"),
    )
    filters.put("account", opened)
    return opened


def _row(view: AccountView) -> dict[str, Any]:
    return {
        "Name": view.name,
        "Role": view.role.value,
        "State": "disabled" if view.disabled else "enabled",
        "Signs in with": "identity provider" if view.external else "password",
        "Second factor": _factor(view),
        "Last sign-in": view.last_sign_in_at,
        "Live sessions": view.live_sessions,
        "Created": view.created_at,
        "Created by": view.created_by,
    }


def _factor(view: AccountView) -> str:
    return "provider" if view.external else "on" if view.second_factor else "off"


def create_form() -> None:
    """Make an account. What was typed stays until one is made."""
    if st.session_state.pop(_MADE, False):
        st.session_state["accounts.create.name"] = st.session_state["accounts.create.password"] = ""
    fold = folds.fold("Add an account", key=_FORM, icon=":material/person_add:")
    if not folds.is_made(fold, key=_FORM):
        return
    with fold, st.form("accounts.create", width=FORM_WIDTH):
        name = st.text_input("Name", key="accounts.create.name")
        role = st.selectbox("Role", ROLES, key="accounts.create.role")
        password = st.text_input(
            "Password",
            type="password",
            key="accounts.create.password",
            autocomplete="new-password",
            help=f"At least {MIN_LENGTH} characters, {ADVISED_LENGTH} or more are better. "
            "Any characters. Leave empty for a random one, shown once.",
        )
        reason.field("accounts.create")
        if st.form_submit_button("Add account", type="primary", key="accounts.create.submit"):
            with reason.given("accounts.create"):
                made = calls.write(service.create_for, name=name, role=role, password=password)
            if made is not None:
                if made.raw:
                    shown_once.keep(f"The password of {escape(made.account.name)}.", made.raw)
                flash.success(f"The account {escape(made.account.name)} is created.")
                st.session_state[_MADE] = True
                st.rerun()


def _base(view: AccountView) -> str:
    return f"accounts.{view.id}"


def head(view: AccountView) -> None:
    """Since when there is the account, and when it was used last."""
    signed_in = times.exact(view.last_sign_in_at)
    last = f"Last sign-in {signed_in}" if signed_in else "Never signed in"
    made = f"{times.exact(view.created_at)} by {escape(view.created_by)}"
    st.caption(f"{last}. Created {made}.")


def actions(view: AccountView, *, own_id: int) -> None:
    """Role, password and state of one account."""
    role, save = st.columns([2, 1], vertical_alignment="bottom")
    reason.field(_base(view))
    reset, factor, state = st.columns(3)
    role_key = f"accounts.role.{view.id}.{view.version}"
    role.selectbox("Role", ROLES, index=ROLES.index(view.role.value), key=role_key)
    save.button(
        "Save role",
        key="accounts.save_role",
        on_click=_save_role,
        args=(view, role_key),
        width="stretch",
    )
    reset.button(
        "Reset password …",
        key="accounts.reset",
        disabled=view.external,
        help="The identity provider keeps it." if view.external else None,
        on_click=confirm.open_dialog,
        args=("accounts.reset.dialog",),
        width="stretch",
    )
    factor.button(
        "Reset second factor …",
        key="accounts.reset_factor",
        disabled=not view.second_factor,
        help=None if view.second_factor else "There is none.",
        on_click=confirm.open_dialog,
        args=("accounts.reset_factor.dialog",),
        width="stretch",
    )
    if view.disabled:
        state.button(
            "Enable", key="accounts.enable", on_click=_set_disabled, args=(view, False),
            width="stretch",
        )  # fmt: skip
    else:
        state.button(
            "Disable …",
            key="accounts.disable",
            disabled=view.id == own_id,
            help="You cannot disable yourself." if view.id == own_id else None,
            on_click=confirm.open_dialog,
            args=("accounts.disable.dialog",),
            width="stretch",
        )


def dialogs(view: AccountView) -> None:
    """What is asked before an account is disabled or loses its password or second factor."""
    live = counted(view.live_sessions, "live session")
    ends = f"{live} of this account {'ends' if view.live_sessions == 1 else 'end'} at once."
    ends = ends if view.live_sessions else "Nobody is signed in with this account."
    confirm.ask(
        "accounts.disable.dialog",
        title=f"Disable {escape(view.name)}?",
        body=lambda: _what_stops(view, ends),
        action="Disable",
        on_confirm=lambda: _set_disabled(view, True),
    )
    confirm.ask(
        "accounts.reset.dialog",
        title=f"Reset the password of {escape(view.name)}?",
        body=f"A random password is made and shown to you once. {ends}",
        action="Reset password",
        on_confirm=lambda: _reset(view),
        may_wait=True,
    )
    confirm.ask(
        "accounts.reset_factor.dialog",
        title=f"Reset the second factor of {escape(view.name)}?",
        body="The app and the recovery codes stop working: the password alone opens the account "
        f"until a new app is set up. Make sure that it is {escape(view.name)} who asks. {ends}",
        action="Reset second factor",
        on_confirm=lambda: _reset_factor(view),
        may_wait=True,
    )


def _what_stops(view: AccountView, ends: str) -> None:
    st.markdown(f"{escape(view.name)} can no longer sign in. {ends} It can be enabled again.")
    token_list.offer_to_revoke(view.id)


def _reset_factor(view: AccountView) -> None:
    done = calls.write(service.reset_second_factor, account_id=view.id, version=view.version)
    if done:
        flash.success(f"The second factor of {escape(view.name)} is removed.")


def _save_role(view: AccountView, role_key: str) -> None:
    role = st.session_state[role_key]
    with flash.deferring(), reason.given(_base(view)):
        done = calls.write(service.set_role, account_id=view.id, role=role, version=view.version)
    if done:
        flash.success(f"{escape(view.name)} has the role {role} now.")


def _set_disabled(view: AccountView, disabled: bool) -> None:
    with flash.deferring(), reason.given(_base(view)):
        done = calls.write(
            service.set_disabled,
            account_id=view.id,
            disabled=disabled,
            version=view.version,
            revoke_tokens=disabled and token_list.shall_revoke(),
        )
    if done:
        flash.success(f"{escape(view.name)} is {'disabled' if disabled else 'enabled'}.")


def _reset(view: AccountView) -> None:
    made = calls.write(service.reset_password, account_id=view.id, version=view.version)
    if made:
        shown_once.keep(f"The new password of {escape(view.name)}.", made.raw)
