"""Watch background jobs: what runs, what ended how, and stop what should not go on."""

from functools import partial

import streamlit as st

from backend.core.access import Permission
from backend.jobs import service as jobs
from pages.jobs import job_list, runs_per_day
from pages.shared import drawer, filters, job_progress, tables, times
from pages.shell import calls, flash, guard, head
from pages.shell.errors import escape


@st.fragment(run_every=2.0)
def open_jobs() -> None:
    """Everything queued or running, live."""
    page = calls.read(jobs.list_jobs, states=("running", "queued"), limit=20)
    for view in page.items:
        with st.container(border=True):
            job_progress.draw(view, key="jobs.open")


def run_details(job_id: int) -> None:
    """How it goes and what it wrote, live while it runs; who started it, when, and its result."""
    view = job_progress.show(job_id, key="jobs.chosen", log_lines=200)
    times.captions(
        (f"Created by {escape(view.actor_name)}", view.created_at, "never"),
        ("Started", view.started_at, "not yet"),
        ("Ended", view.finished_at, "not yet"),
    )
    facts = [
        times.took(view.started_at, view.finished_at),
        f"attempt {view.attempt}" if view.attempt > 1 else "",
    ]
    facts += [f"on {escape(view.worker)}" if view.worker else "", escape(view.kind)]
    st.caption(" · ".join(part for part in facts if part))
    if view.result:
        with st.expander("Result"):
            st.json(view.result)


# gate
guard.require(Permission.JOBS_READ)
head.draw("Runs", "Background work: plans, applies, scans and checks, and how each ended.")
flash.show()
open_jobs()
# ask
wanted = job_list.ask()
chosen = filters.number("job")
# load
listed = calls.read(jobs.list_jobs, limit=50, **wanted)
# present
if not listed.items:
    none = "No run fits these filters. Runs appear here when a plan, a scan or a test is started."
    st.info(tables.SEARCH_ON if listed.next_cursor else none)
    job_list.pages(listed)
else:
    chosen = job_list.table(listed, wanted, chosen)
filters.put("job", chosen)
if chosen is not None:
    drawer.show(f"Run {chosen}", partial(run_details, chosen), parameter="job")
runs_per_day.draw(calls.read(jobs.count_by_day, days=runs_per_day.DAYS))
