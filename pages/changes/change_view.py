"""One change request: what was asked, whether it would still do the same, and the decision."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.changes import service
from backend.changes.schemas import ChangeView, Now, Preview, Status
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import NotPermitted, PortalError
from pages.shared import beside, confirm, status, tables, times
from pages.shell import calls, flash, guard
from pages.shell.errors import code, escape

#: Where the work of an action is looked at: first word of the action → the page's address.
_PAGES = {
    "user_sync": "user-sync",
    "mounts": "mounts",
    "tokenization": "tokenization",
    "ingestion": "ingestion",
}
_NOW = "changes.now"
_SURE = "changes.approve.sure"
_COMMENT = f"{_SURE}.comment"
#: What is carried out is looked at as often by the portal itself (backend/changes/tasks.py).
POLL_SECONDS = 5.0


def draw(change_id: int) -> None:
    """The request with its history and the buttons that this person may press."""
    view = calls.read(service.get, change_id=change_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(f"#{view.id} · {view.label}", anchor=False, width="content")
        status.badge(view.status)
        if view.is_open and view.status == "waiting":
            times.caption("expires", view.expires_at)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _intent(view)
    with right:
        _people(view)
    if view.status in ("waiting", "approved"):
        _now(view)
    if view.status == "waiting":
        _decide(view)
    if view.status in ("approved", "running"):
        _goes_on(view.id, view.status)
    with st.expander("History"):
        _history(view)


@st.fragment(run_every=POLL_SECONDS)
def _goes_on(change_id: int, seen: Status) -> None:
    """Draws the page anew once what was approved has begun or ended."""
    if calls.read(service.get, change_id=change_id).status != seen:
        flash.rerun()


def _intent(view: ChangeView) -> None:
    run = "" if view.run_id.startswith("change-") else view.run_id
    shown = {
        "about": view.subject,
        "environment": view.environment or "none",
        **dict(view.facts),
        "size": view.size_words,
        "run": run,
    }
    rows = [(name, value) for name, value in shown.items() if value]
    tables.show(
        rows,
        lambda each: {"Field": each[0], "As asked": each[1]},
        key="changes.intent",
        alt="What was asked",
        height="content",
    )
    address = _PAGES.get(view.action.partition(".")[0])
    if address:
        st.markdown(f"[Open the page where it was asked](/{address})")


def _people(view: ChangeView) -> None:
    asked = times.relative(view.created_at)
    st.markdown(f"**{escape(view.requester)}** asked {asked}")
    if view.reason:
        st.markdown(f"**Why** {escape(view.reason)}")
    st.markdown(f"**Needs** {escape(view.rule)}; given: {len(view.approvals)} of {view.needed}")
    if view.approvals:
        st.markdown(f"**Approved by** {escape(', '.join(view.approvals))}")
    if view.after:
        st.markdown(f"**After** [change {view.after}](/changes?change={view.after}) has succeeded")
    if view.outcome:
        st.markdown(f"**Outcome** {escape(view.outcome)}")
    st.markdown(f"**Digest** {code(view.digest[:12])}", help=view.digest)


def _now(view: ChangeView) -> None:
    """What would happen now, as the job's own page shows it to who asks; asked once by itself."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**What would happen now**", width="content")
        again = st.button("Look again", key="changes.probe", icon=":material/sync:")
    asked = beside.ask(_NOW, view.id, calls.bound(_asked_now, change_id=view.id), again=again)
    if asked is None:
        return
    found = asked.result()
    if found is None:
        st.caption(":material/lock: Shown to those who could ask for the same.")
        return
    if found.same:
        st.success("It would still do the same now.", icon=":material/check:")
    else:
        moved = f"Moved since it was asked: {', '.join(found.moved)}."
        st.warning(escape(found.error or moved), icon=":material/sync_problem:")
    if found.preview is not None:
        _preview(view, found.preview)


def _asked_now(database: Database, actor: Actor, *, change_id: int) -> Now | None:
    try:
        return service.would_do(database, actor, change_id=change_id)
    except NotPermitted:
        return None
    except PortalError as exc:
        return Now(same=False, error=exc.message)


def asked_of_each(
    database: Database, actor: Actor, *, change_ids: Sequence[int]
) -> dict[int, Now | None]:
    """By the request's number; None for who could not ask for it."""
    return {each: _asked_now(database, actor, change_id=each) for each in change_ids}


def _preview(view: ChangeView, found: Preview) -> None:
    st.markdown(escape(found.title))
    for note in found.notes:
        st.warning(escape(note), icon=":material/warning:")
    if found.rows:
        tables.show(
            found.rows,
            lambda row: dict(zip(found.columns, row, strict=True)),
            key="changes.preview",
            alt=f"What change {view.id} would do now",
            file=f"change-{view.id}",
        )
    if found.total > len(found.rows):
        st.caption(f"The first {len(found.rows):,} of {found.total:,} lines.")


def _decide(view: ChangeView) -> None:
    session = guard.signed_in()
    mine = session is not None and view.requester == session.actor.name
    why_not = calls.read(service.why_not, change_id=view.id)
    if why_not:
        st.caption(f":material/lock: {escape(why_not)}")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if mine and st.button("Withdraw …", key="changes.withdraw"):
            confirm.open_dialog("changes.withdraw.sure")
        if not why_not and st.button("Reject …", key="changes.reject"):
            confirm.open_dialog("changes.reject.sure")
        if not why_not and st.button("Approve …", key="changes.approve", type="primary"):
            confirm.open_dialog(_SURE)
    confirm.ask(
        _SURE,
        title=f"Approve change {view.id}?",
        body=lambda: _approval(view),
        action="Approve",
        danger=False,
        on_confirm=lambda: _approve(view),
    )
    confirm.ask(
        "changes.reject.sure",
        title=f"Reject change {view.id}?",
        body=lambda: _reason("Why, for the person who asked"),
        action="Reject",
        on_confirm=lambda: _end(service.reject, view, "rejected"),
    )
    confirm.ask(
        "changes.withdraw.sure",
        title=f"Withdraw change {view.id}?",
        body=lambda: _reason("Reason (optional)"),
        action="Withdraw",
        on_confirm=lambda: _end(service.withdraw, view, "withdrawn"),
    )


def _approval(view: ChangeView) -> None:
    last = len(view.approvals) + 1 >= view.needed
    st.markdown(
        f"**{escape(view.label)}**: {escape(view.subject)} in {escape(view.environment)}. "
        + (
            "It begins at once, exactly as shown, or is refused if something moved."
            if last
            else "Another person has to approve it, too."
        )
    )
    st.text_input("Comment (optional)", key=_COMMENT, max_chars=service.MAX_TEXT)


def _reason(label: str) -> None:
    st.text_area(label, key="changes.reason", max_chars=service.MAX_TEXT)


def _approve(view: ChangeView) -> bool:
    comment = st.session_state.get(_COMMENT, "")
    done = calls.write(service.approve, change_id=view.id, comment=comment)
    if done is not None:
        begins = "It is being carried out." if done.status == "approved" else "One more is needed."
        flash.success(f"Change {view.id} approved. {begins}")
    return True


def _end(function: Any, view: ChangeView, word: str) -> bool:
    reason = st.session_state.get("changes.reason", "")
    if calls.write(function, change_id=view.id, reason=reason) is not None:
        flash.success(f"Change {view.id} {word}.")
    return True


def _history(view: ChangeView) -> None:
    for step in view.steps:
        said = f": {escape(step.text)}" if step.text else ""
        st.markdown(f"{times.exact(step.at)} **{escape(step.actor_name)}** {step.what}{said}")
    if not view.is_open or not guard.allowed(
        guard.require(Permission.CHANGES_READ), Permission.CHANGES_DECIDE, "comment"
    ):
        return
    with st.form("changes.say", clear_on_submit=True, border=False):
        text = st.text_input("Comment", key="changes.say.text", max_chars=service.MAX_TEXT)
        if st.form_submit_button("Add comment"):
            done = calls.write(service.comment, change_id=view.id, text=text)
            if done is not None:
                st.rerun()
