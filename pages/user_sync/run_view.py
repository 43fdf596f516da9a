"""One run: live, then the outcome of each user, continue, revert, download."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.jobs import service as jobs
from backend.user_sync import service
from backend.user_sync.fields import TEXTS
from backend.user_sync.schemas import ITEM_STATES, DomainRef, ItemView, RunView
from backend.user_sync.validation import side_by_side
from pages.shared import drawer, filters, job_progress, status, tables, times
from pages.shell import calls, flash
from pages.shell.errors import escape

PAGE = 100
#: Of the list inside.
_FILTERS = ("outcome", "text", "after")
_WORDS = {"pending": "not tried", "sending": "under way"}
_LOOKS = {"partial": "conflict", "stopped": "interrupted"}


def opened(actor: Actor) -> None:
    """The drawer of the run of the address, if there is one."""
    number = filters.number("run")
    if number is not None:
        drawer.show(
            f"Run {number}", partial(_draw, actor, number), parameter="run", inside=_FILTERS
        )


def _draw(actor: Actor, run_id: int) -> None:
    """The run as it is now; while it goes on, every number is drawn anew from one look at it."""
    run = calls.read(service.get_run, run_id=run_id)
    if run.ended:
        _whole(actor, run)
    else:
        _live(actor, run.id)


@st.fragment(run_every=job_progress.POLL_SECONDS)
def _live(actor: Actor, run_id: int) -> None:
    run = calls.read(service.get_run, run_id=run_id)
    if run.ended:
        flash.rerun()
    _whole(actor, run)


def _whole(actor: Actor, run: RunView) -> None:
    _head(run)
    took = ""
    if run.finished_at and run.started_at:
        seconds = (run.finished_at - run.started_at).total_seconds()
        took = f"; took {times.duration(seconds)}"
    times.caption(f"By {escape(run.actor_name)}{took}; started", run.created_at)
    _items(run)
    if run.ended:
        _actions(actor, run)


def _head(run: RunView) -> None:
    of = f"of plan {run.plan_id}, {escape(run.environment)}"
    if not run.ended:
        st.markdown(f"O{of[1:]}")
        _progress(run)
    else:
        st.markdown(f"{status.markdown(_LOOKS.get(run.state, run.state), label=run.state)} {of}")
    if run.note:
        st.warning(escape(run.note))
    _tiles(run)


def _progress(run: RunView) -> None:
    """How far it is, by the run's own counts: the job reports a moment later."""
    if run.job_id is None:
        st.progress(run.done / max(1, run.total), text=f"{run.done:,} of {run.total:,}")
        st.caption("This run is at work on a command line; stop it there.")
        return
    job = calls.read(jobs.get, job_id=run.job_id)
    counted = replace(job, progress_done=run.done, progress_total=run.total)
    job_progress.draw(counted, key="user_sync.job")


def _tiles(run: RunView) -> None:
    with st.container(horizontal=True):
        for state in ITEM_STATES:
            if run.counts.get(state) or state in ("applied", "conflict", "failed"):
                label = _word(state, run).capitalize()
                st.metric(label, f"{run.counts.get(state, 0):,}", border=True)


def _word(state: str, run: RunView) -> str:
    """Of a user's state; while the run goes on, nobody was passed over."""
    return "waiting" if state == "pending" and not run.ended else _WORDS.get(state, state)


def _items(run: RunView) -> None:
    left, right = st.columns([2, 3])
    with left:
        state = filters.choice("Outcome", "outcome", ITEM_STATES, key="user_sync.outcome")
    with right:
        text = filters.text("E-mail or name", "text", key="user_sync.run_text")
    after = filters.number("after")
    items = calls.read(
        service.list_items,
        run_id=run.id,
        states=(state,) if state else (),
        text=text,
        after=-1 if after is None else after,
        limit=PAGE,
    )
    if not items:
        st.info("No user of this run fits these filters.")
        return
    texts = [name for name in TEXTS if any(name in item.row.texts for item in items)]
    tables.show(
        items,
        lambda item: _row(run, item, texts),
        key="user_sync.items",
        alt=f"Users of run {run.id} with what became of each",
        states=("Outcome",),
        optional=("Reason",),
        placeholder="",
        config={"OpenMetadata": st.column_config.LinkColumn(display_text="Open")},
    )
    with tables.foot():
        tables.download_text(
            f"user-sync-run-{run.id}",
            lambda: calls.fetch(service.run_csv, run_id=run.id),
            key="user_sync.run_csv",
        )
        following = items[-1].position if len(items) == PAGE else None
        filters.pages(following, parameter="after", key="user_sync.items")


def _row(run: RunView, item: ItemView, texts: Iterable[str]) -> dict[str, Any]:
    """texts: the further attributes that somebody on this page was to get."""
    changed = {
        f"{age} {TEXTS[name].label.lower()}": item.row.texts[name][at] or "(empty)"
        if name in item.row.texts
        else ""
        for name in texts
        for at, age in enumerate(("Old", "New"))
    }
    old_name, new_name = _names(item)
    return {
        "E-mail": item.email,
        "Outcome": _word(item.state, run),
        "Reason": item.reason,
        "Old name": old_name,
        "New name": new_name,
        "Old domains": _domains(item.row.old_domains, item),
        "New domains": _domains(item.row.new_domains, item),
        **changed,
        "Ended": item.finished_at,
        "OpenMetadata": item.row.user_url,
    }


def _names(item: ItemView) -> tuple[str, str]:
    """Both names, with what nobody sees in them marked, as in the plan and on the command line."""
    row = item.row
    if not row.sets_name:
        return "", ""
    shown = side_by_side(row.old_name or "", row.new_name or "", alike=row.look_alike)
    return shown[0] or "(empty)", shown[1] or "(empty)"


def _domains(refs: tuple[DomainRef, ...], item: ItemView) -> str:
    return (", ".join(ref.fqn for ref in refs) or "(none)") if item.row.sets_domains else ""


def _actions(actor: Actor, run: RunView) -> None:
    with st.container(horizontal=True):
        if actor.may(Permission.USER_SYNC_APPLY) and run.unsettled:
            again = st.button("Continue", key="user_sync.resume", icon=":material/play_arrow:")
            if again and calls.write(service.resume, run_id=run.id) is not None:
                st.rerun()
        may_revert = actor.may(Permission.USER_SYNC_PLAN)
        if may_revert and st.button("Revert …", key="user_sync.revert", icon=":material/undo:"):
            _revert(run)


def _revert(run: RunView) -> None:
    plan = calls.write(service.revert, run_id=run.id)
    if plan is None:
        return
    flash.passing(f"This takes back run {run.id}: review it, tick, and apply it")
    for name in ("run", *_FILTERS, "page", "kind", "domain"):
        st.query_params.pop(name, None)
    st.query_params["view"] = "plan"
    st.query_params["plan"] = str(plan.id)
    st.rerun()
