"""Details of one entry or operation: what was asked, answered and done, and what can be done."""

import json
from functools import partial

import streamlit as st

from backend.core.access import Actor, Permission
from backend.mounts import explorer
from backend.mounts.schemas import EMPTY, Details, OperationView
from pages.mounts import action_dialogs
from pages.mounts.filter_bar import Wanted
from pages.mounts.tables import state_of
from pages.shared import drawer, primary, status, tables, times
from pages.shell import calls
from pages.shell.errors import escape


def entry(actor: Actor, wanted: Wanted, key: str | None) -> None:
    """The drawer of an entry; None: none is open. The questions of its actions are the page's."""
    if key is not None:
        drawer.show(f"Entry {escape(key)}", partial(_entry, actor, wanted, key), parameter="entry")


def _entry(actor: Actor, wanted: Wanted, key: str) -> None:
    """Its details, with what can be done."""
    details = calls.read(explorer.details, environment=wanted.where, key=key)
    mount = details.mount
    st.markdown(
        f"**Backup job {mount.jobid}** · {escape(mount.backup_target_id or EMPTY)} on "
        f"{escape(mount.host or EMPTY)} "
        f"{status.markdown('mounted' if mount.mounted else 'done', label=state_of(mount))}"
    )
    st.caption(
        f"Entry {escape(mount.key)}, created {times.relative(mount.created_at)}, "
        f"last change {times.relative(mount.updated_at)}",
        help=f"Created {times.exact(mount.created_at) or 'at an unknown time'}, "
        f"last change {times.exact(mount.updated_at) or 'never'}",
    )
    if mount.problem:
        st.warning(f"This row cannot be read: {escape(mount.problem)}")
    if details.others:
        jobs = ", ".join(str(other.jobid) for other in details.others[:30])
        word = "backup job" if len(details.others) == 1 else "backup jobs"
        st.markdown(f"Also mounted there for {word} {jobs}.")
    if actor.may(Permission.MOUNTS_WRITE):
        with st.container(horizontal=True):
            _buttons(details)
    _operations(actor, details)
    _audit(details)


def one_operation(actor: Actor, wanted: Wanted, operation_id: str) -> None:
    """The drawer of the operation that is marked in the list."""

    def body() -> None:
        found = calls.read(explorer.operation, environment=wanted.where, operation_id=operation_id)
        operation(actor, found, key="mounts.chosen", expanded=True)

    drawer.show(f"Operation {escape(operation_id[:8])}", body, parameter="operation")


def _buttons(details: Details) -> None:
    if details.mount.mounted:
        st.button(
            "Unmount …",
            key="mounts.open.unmount",
            icon=":material/eject:",
            shortcut=primary.KEY,
            on_click=action_dialogs.open_for(
                action_dialogs.UNMOUNT, action_dialogs.ENTRY, details.mount
            ),
        )
    elif not details.mount.deleted:
        st.button(
            "Soft-delete …",
            key="mounts.open.delete",
            icon=":material/delete:",
            on_click=action_dialogs.open_for(
                action_dialogs.DELETE, action_dialogs.ENTRY, details.mount
            ),
        )
    st.button(
        "Verify …",
        key="mounts.open.verify",
        icon=":material/fact_check:",
        help="Ask the DMS server whether this entry is true.",
        on_click=action_dialogs.open_for(
            action_dialogs.VERIFY, action_dialogs.ENTRY, details.mount
        ),
    )


def _operations(actor: Actor, details: Details) -> None:
    st.markdown("**Operations**")
    if not details.operations:
        st.caption("None was made through this client.")
    for found in details.operations[:10]:
        operation(actor, found, key=f"mounts.details.{found.operation_id}")


def operation(actor: Actor, found: OperationView, *, key: str, expanded: bool = False) -> None:
    """One request to a DMS server, masked, and what came of it."""
    label = (
        f"{found.action} · {found.status.replace('_', ' ')} · {times.relative(found.created_at)}"
    )
    with st.expander(label, expanded=expanded):
        st.markdown(
            f"{status.markdown(found.status)} started by {escape(found.actor or 'a script')} "
            f"{times.relative(found.created_at)}; "
            f"ended {times.relative(found.finished_at, never='not yet')}",
            help=f"Started {times.exact(found.created_at)}, "
            f"ended {times.exact(found.finished_at) or 'not yet'}",
        )
        if found.note:
            st.markdown(escape(found.note))
        if found.reply:
            more = f" ({found.replies} answers came)" if found.replies > 1 else ""
            times.caption(f"Answer{more},", found.reply_at)
            st.code(found.reply, language="json", wrap_lines=True)
        if found.settled_by:
            st.caption(f"Settled by operation {found.settled_by}")
        st.caption(f"Operation {found.operation_id} · request, secrets masked")
        asked = json.dumps(found.request, indent=1, ensure_ascii=False)
        st.code(asked, language="json", wrap_lines=True)
        if found.status in ("unknown", "in_flight") and actor.may(Permission.MOUNTS_WRITE):
            st.button(
                "Re-check …",
                key=f"{key}.recheck",
                icon=":material/fact_check:",
                on_click=action_dialogs.open_for(
                    action_dialogs.RECHECK, action_dialogs.OPERATION, found
                ),
            )


def _audit(details: Details) -> None:
    st.markdown("**Audit log**")
    if not details.events:
        st.caption("The portal has done nothing to it.")
        return
    tables.show(
        details.events,
        lambda event: {
            "Started": event.at,
            "Who": event.actor,
            "What": f"{event.action.rpartition(':')[2]} {event.phase} {event.outcome}".strip(),
        },
        key="mounts.details.audit",
        alt="What the portal did to it",
        title="What",
    )
