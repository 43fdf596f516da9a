"""API tokens: make one (shown once), see when each was used, revoke."""

from typing import Any

import streamlit as st

from backend.accounts import api_tokens
from backend.accounts.schemas import ApiTokenPage, ApiTokenView
from backend.connections import environments as all_environments
from backend.core.access import Permission, Role
from backend.core.words import counted
from pages.shared import confirm, filters, folds, reason, shown_once, tables, times
from pages.shell import calls, flash
from pages.shell.errors import escape
from pages.shell.style import FORM_WIDTH

ROLES = tuple(role.value for role in Role)
#: Areas first, then each action; one that the role does not have is refused with those it has.
_ACTIONS = (*dict.fromkeys(p.split(":")[0] for p in Permission), *(p.value for p in Permission))
_FORM = "tokens.create.form"
_MADE = "tokens.create.made"
_REVOKE = "accounts.revoke_tokens"
_MANY = "API tokens that this account made go"


def create_form() -> None:
    """Make a token. What was typed stays until one is made."""
    if st.session_state.pop(_MADE, False):
        st.session_state["tokens.create.name"] = ""
    fold = folds.fold("Make an API token", key=_FORM, icon=":material/key:")
    if not folds.is_made(fold, key=_FORM):
        return
    with fold, st.form("tokens.create", width=FORM_WIDTH):
        asked = _fields()
        reason.field("tokens.create")
        if st.form_submit_button("Make token", type="primary", key="tokens.create.submit"):
            with reason.given("tokens.create"):
                made = calls.write(api_tokens.add, **asked)
            if made is not None:
                shown_once.keep(f"The API token {escape(made.view.name)}.", made.raw)
                st.session_state[_MADE] = True
                st.rerun()


def _fields() -> dict[str, Any]:
    """What `api_tokens.add` is told."""
    return {
        "name": st.text_input("What is it for?", key="tokens.create.name"),
        "role": st.selectbox("Role", ROLES, key="tokens.create.role"),
        "days": int(
            st.number_input(
                "Valid for days",
                min_value=1,
                max_value=api_tokens.MAX_DAYS,
                value=api_tokens.DEFAULT_DAYS,
                key="tokens.create.days",
            )
        ),
        "actions": st.multiselect(
            "Only these actions",
            _ACTIONS,
            placeholder="All that the role has",
            key="tokens.create.actions",
        ),
        "environments": st.multiselect(
            "Only in these environments",
            [each.name for each in calls.read(all_environments.list_all)],
            placeholder="Every environment",
            key="tokens.create.environments",
        ),
        "ask_only": st.checkbox(
            "Ask only: whatever it asks for needs a person's approval", key="tokens.create.ask_only"
        ),
    }


def show(page: ApiTokenPage, *, changes: bool) -> None:
    """The list, and for who may change tokens a button for the chosen one."""
    if not page.items:
        st.info("There is no API token yet. Programs that call the REST API need one each.")
        return
    opened = tables.choose(
        page.items,
        _row,
        id_of=lambda view: view.id,
        current=filters.number("token"),
        key="tokens.table",
        alt="API tokens, newest first",
        states=("State",),
        hidden=("Revoked by",),
        file="api-tokens",
        everything=lambda: tables.every_page(api_tokens.list_tokens),
        config={"ID": st.column_config.NumberColumn("ID", width="small")},
        foot=lambda: filters.pages(page.next_cursor, parameter="before", key="tokens"),
    )
    filters.put("token", opened)
    for view in page.items:
        if view.id == opened:
            _details(view)
            if changes:
                _revoke_button(view)


def _row(view: ApiTokenView) -> dict[str, Any]:
    return {
        "ID": view.id,
        "Name": view.name,
        "Role": view.role.value,
        "State": view.state,
        "Ends": view.expires_at,
        "Last used": view.last_used_at,
        "From": view.last_address,
        "Limited to": _limits(view),
        "Created": view.created_at,
        "Created by": view.made_by,
        "Revoked by": view.revoked_by,
        "Begins with": f"spt_{view.prefix}_…",
    }


def offer_to_revoke(account_id: int) -> None:
    """In the question before an account ends: the tokens in use that it made, and a box to end
    them, too."""
    page = calls.read(api_tokens.list_tokens, account_id=account_id)
    valid = [view for view in page.items if view.state == "valid"]
    if not valid:
        return
    these = counted(len(valid), "API token that this account made goes", _MANY)
    names = ", ".join(f"{view.name} ({view.role.value})" for view in valid[:20])
    st.markdown(f"{these} on, as the portal's own: {escape(names)}{' …' * (len(valid) > 20)}")
    st.checkbox("Revoke them too", key=_REVOKE)


def shall_revoke() -> bool:
    """What was ticked there."""
    return bool(st.session_state.get(_REVOKE, False))


def _details(view: ApiTokenView) -> None:
    ends = f" Ends {times.exact(view.expires_at)}." if view.expires_at else ""
    used = times.exact(view.last_used_at)
    last = f"Last used {used} from {escape(view.last_address)}" if used else "Never used"
    st.caption(f"{last}. Created {times.exact(view.created_at)}.{ends}")
    actions, reach = ", ".join(view.actions), ", ".join(view.environments)
    st.caption(
        f"Actions: {escape(actions or 'all of its role')}. "
        f"Environments: {escape(reach or 'every one')}."
    )


def _revoke_button(view: ApiTokenView) -> None:
    st.button(
        f"Revoke {escape(view.name)} (ID {view.id}) …",
        key="tokens.revoke",
        disabled=view.revoked_at is not None,
        icon=":material/block:",
        on_click=confirm.open_dialog,
        args=("tokens.revoke.dialog",),
    )
    confirm.ask(
        "tokens.revoke.dialog",
        title=f"Revoke {escape(view.name)} (ID {view.id})?",
        body="Whatever uses this token is refused from now on. This cannot be undone.",
        action="Revoke",
        on_confirm=lambda: _revoke(view.id),
    )


def _revoke(token_id: int) -> None:
    view = calls.write(api_tokens.revoke, token_id=token_id)
    if view:
        flash.success(f"The API token {escape(view.name)} is revoked.")


def _limits(view: ApiTokenView) -> str:
    return ", ".join([*["ask only"] * view.ask_only, *view.environments, *view.actions])
