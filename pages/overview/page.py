"""See at a glance what waits, whether everything works, what runs and how it ended."""

from functools import partial

import streamlit as st

from auth import current as browser
from backend.changes import service as changes
from backend.connections import health
from backend.core import alerts
from backend.core.access import Permission
from backend.ingestion import service as ingestion
from backend.jobs import service as jobs
from backend.notifications import seen_alerts
from backend.user_sync import service as user_sync
from pages.overview import alert_table, cards, ran_table
from pages.shell import calls, flash, guard, head

LAST = 8


@st.fragment(run_every=15.0)
def live() -> None:
    """Everything below the title, read again every quarter of a minute."""
    alert_table.follow()
    alert_table.tested()
    # load
    with calls.together():
        found = calls.read(alerts.collect)
        environments = calls.read(health.overview)
        last = calls.read(jobs.list_jobs, limit=LAST)
        started = calls.read(jobs.count_by_kind, days=cards.DAYS)
        ingested = calls.read(ingestion.list_runs, limit=LAST)
        ingestions = calls.read(ingestion.recent, days=cards.DAYS)
        to_approve = calls.read(changes.list_changes, which="to_approve", limit=changes.MAX_PAGE)
        requests = calls.read(changes.recent, days=cards.DAYS)
        seen = calls.read(seen_alerts.seen)
        synced = calls.read(user_sync.list_runs, limit=LAST)
        applied = calls.read(user_sync.recent, days=cards.DAYS)
    # present
    elsewhere = {"ingestion": ingestions.moments, "user-sync": applied}
    red = any(item.failed for item in environments)
    red = red or ran_table.ended_badly(last.items, ingested.items, synced)
    work = partial(cards.work, found.waiting, started, elsewhere, to_approve, requests)
    # A phone shows one after the other: what needs somebody comes before the cards. Each is drawn
    # in its turn, for what comes in above the cards would push them down.
    narrow = browser.narrow()
    if not narrow:
        work()
    st.header("Alerts", anchor=False)
    alert_table.draw(actor, found.items, seen, all_well=not red)
    if found.rest:
        st.caption(found.rest)
    if narrow:
        st.header("Jobs", anchor=False)
        work()
    left, right = st.columns([2, 1], gap="medium")
    with left:
        st.header("Running and recent", anchor=False)
        ran_table.draw(last.items, ingested.items, synced, most=LAST)
    with right:
        st.header("Health", anchor=False)
        cards.health(environments)


# gate
actor = guard.require(Permission.OVERVIEW_READ)
head.draw("Overview", "What is waiting for somebody, what failed and what is running.")
session = guard.signed_in()
if session is not None and session.has_first_password:
    st.info(
        "You are using the password of the first start. Change it on **My account**.",
        icon=":material/key:",
    )
flash.show()
live()
