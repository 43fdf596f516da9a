"""A background job's live progress: polls with a fragment, can be cancelled."""

from collections.abc import Callable

import streamlit as st

from backend.core.access import Permission
from backend.jobs import service as jobs
from backend.jobs.schemas import JobView
from pages.shared import long_text, status, times
from pages.shell import calls, flash, guard
from pages.shell.errors import escape

POLL_SECONDS = 1.0
#: The job that this browser's session has started and of whose end it has not been told.
_STARTED = "job_progress.started"


def started(job_id: int | None) -> None:
    """Its end is to be told (`tell_of_end`)."""
    st.session_state[_STARTED] = job_id


def tell_of_end(job_id: int | None) -> None:
    """Of a job that this session started: also where it had ended before it was ever drawn."""
    if job_id is None or st.session_state.get(_STARTED) != job_id:
        return
    view = calls.read(jobs.get, job_id=job_id)
    if view.ended:
        _tell(view)
        flash.rerun()


def show(job_id: int, *, key: str, log_lines: int = 0) -> JobView:
    """Draw the job; while it runs, the fragment redraws itself and reruns the page at the end."""
    view = calls.read(jobs.get, job_id=job_id)
    if view.ended:
        draw(view, key=key, log_lines=log_lines)
    else:
        _live(job_id, key, log_lines)
    return view


def awaited(job_id: int, *, key: str, before: object, read: Callable[[], object]) -> None:
    """Draw the job that makes what was read as `before`, a moment ago.

    Where it has ended since then, what it made is there to be read, and nothing else would ever
    draw the page again.
    """
    if show(job_id, key=key).ended and read() != before:
        st.rerun()


@st.fragment(run_every=POLL_SECONDS)
def _live(job_id: int, key: str, log_lines: int) -> None:
    view = calls.read(jobs.get, job_id=job_id)
    draw(view, key=key, log_lines=log_lines)
    if view.ended:
        _tell(view)
        st.rerun()


def _tell(view: JobView) -> None:
    if st.session_state.get(_STARTED) == view.id:
        del st.session_state[_STARTED]
    (flash.passing if view.state == "succeeded" else flash.info)(
        f"{escape(view.title)}: {view.state}."
    )


def draw(view: JobView, *, key: str, log_lines: int = 0) -> None:
    """One job as it is now."""
    head, side = st.columns([5, 1], vertical_alignment="center")
    with head:
        st.markdown(
            f"**{escape(view.title)}** {status.markdown(view.state)} {escape(view.subject)}"
        )
    if not view.ended:
        _bar(view)
        _cancel(view, side, key)
    elif view.error:
        (st.error if view.state == "failed" else st.warning)(escape(view.error))
    if log_lines:
        lines = calls.read(jobs.lines, job_id=view.id, limit=log_lines)
        if lines:
            text = "\n".join(line.line for line in lines)
            long_text.draw(text, language=None, height=260)


def _bar(view: JobView) -> None:
    counts = f"{view.progress_done:,}" if view.progress_done else ""
    if view.progress_total:
        counts = f"{view.progress_done:,} of {view.progress_total:,}"
    text = " · ".join(part for part in (counts, escape(view.note), _left(view)) if part)
    if view.cancel_requested:
        text = "Stopping at the next safe point … " + text
    st.progress(view.share or 0.0, text=text)


def _left(view: JobView) -> str:
    share = view.share
    if not share or share < 0.02 or view.started_at is None or view.heartbeat_at is None:
        return ""
    elapsed = (view.heartbeat_at - view.started_at).total_seconds()
    return f"about {times.duration(elapsed / share * (1 - share))} left" if elapsed > 2 else ""


def _cancel(view: JobView, side: "st.delta_generator.DeltaGenerator", key: str) -> None:
    session = guard.signed_in()
    if session is None or not session.actor.may(Permission.JOBS_CANCEL) or view.cancel_requested:
        return
    pressed = side.button("Cancel", key=f"{key}.cancel.{view.id}", icon=":material/stop_circle:")
    if pressed and calls.done(jobs.cancel, job_id=view.id):
        st.rerun()
