"""API tokens: make one (shown once), see when each was used, revoke."""

import pandas as pd
import streamlit as st

from backend.accounts import api_tokens
from backend.accounts.schemas import ApiTokenView
from backend.connections import environments as all_environments
from backend.core.access import Permission, Role
from pages.shared import confirm, shown_once, times
from pages.shell import calls, flash
from pages.shell.errors import escape

ROLES = tuple(role.value for role in Role)
#: Areas first, then each action; one that the role does not have is refused with those it has.
_ACTIONS = (*dict.fromkeys(p.split(":")[0] for p in Permission), *(p.value for p in Permission))
_MADE = "tokens.create.made"


def create_form() -> None:
    """Make a token. What was typed stays until one is made."""
    if st.session_state.pop(_MADE, False):
        st.session_state["tokens.create.name"] = ""
    with (
        st.expander("Make an API token", icon=":material/key:"),
        st.form("tokens.create"),
    ):
        name = st.text_input("What is it for?", key="tokens.create.name")
        role = st.selectbox("Role", ROLES, key="tokens.create.role")
        days = st.number_input(
            "Valid for days",
            min_value=1,
            max_value=api_tokens.MAX_DAYS,
            value=api_tokens.DEFAULT_DAYS,
            key="tokens.create.days",
        )
        actions = st.multiselect(
            "Only these actions",
            _ACTIONS,
            placeholder="All that the role has",
            key="tokens.create.actions",
        )
        environments = st.multiselect(
            "Only in these environments",
            [each.name for each in calls.read(all_environments.list_all)],
            placeholder="Every environment",
            key="tokens.create.environments",
        )
        ask_only = st.checkbox(
            "Ask only: what it asks for waits for a person's approval", key="tokens.create.ask_only"
        )
        if st.form_submit_button("Make token", type="primary", key="tokens.create.submit"):
            made = calls.write(
                api_tokens.add,
                name=name,
                role=role,
                days=int(days),
                actions=actions,
                environments=environments,
                ask_only=ask_only,
            )
            if made is not None:
                shown_once.keep(f"The API token {escape(made.view.name)}.", made.raw)
                st.session_state[_MADE] = True
                st.rerun()


def show(views: list[ApiTokenView], *, changes: bool) -> None:
    """The list, and for who may change tokens a button for the chosen one."""
    if not views:
        st.info("There is no API token yet. Programs that call the REST API need one each.")
        return
    frame = pd.DataFrame(
        {
            "ID": [view.id for view in views],
            "Name": [view.name for view in views],
            "Role": [view.role.value for view in views],
            "State": [_state(view) for view in views],
            "Last used": [times.relative(view.last_used_at) for view in views],
            "From": [view.last_address for view in views],
            "Limited to": [_limits(view) for view in views],
            "Made": [view.created_at for view in views],
            "Made by": [view.created_by for view in views],
            "Begins with": [f"spt_{view.prefix}_…" for view in views],
        }
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        key="tokens.table",
        column_config={
            "ID": st.column_config.NumberColumn("ID", width="small"),
            "Made": times.column("Made"),
        },
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(views):
        _details(views[rows[0]])
        if changes:
            _revoke_button(views[rows[0]])


def _details(view: ApiTokenView) -> None:
    ends = f" Ends {times.exact(view.expires_at)}." if view.expires_at else ""
    used = times.exact(view.last_used_at)
    last = f"Last used {used} from {escape(view.last_address)}" if used else "Never used"
    st.caption(f"{last}. Made {times.exact(view.created_at)}.{ends}")
    actions, reach = ", ".join(view.actions), ", ".join(view.environments)
    st.caption(
        f"Actions: {escape(actions or 'all of its role')}. "
        f"Environments: {escape(reach or 'every one')}."
    )


def _revoke_button(view: ApiTokenView) -> None:
    st.button(
        f"Revoke {escape(view.name)} (ID {view.id})",
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


def _state(view: ApiTokenView) -> str:
    if view.state == "revoked":
        return f"revoked by {view.revoked_by}"
    if view.expires_at:
        word = "ended" if view.state == "ended" else "ends"
        return f"{word} {times.relative(view.expires_at)}"
    return "valid"
