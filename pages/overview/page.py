"""See at a glance whether everything works, what ran last, and what needs attention."""

import streamlit as st

from backend.connections import health
from backend.core import alerts
from backend.core.access import Permission
from backend.ingestion import service as ingestion
from backend.jobs import service as jobs
from backend.user_sync import service as user_sync
from pages.overview import cards
from pages.shell import calls, flash, guard, head

LAST = 8


# gate
guard.require(Permission.OVERVIEW_READ)
head.draw("Overview", "What waits for somebody, what failed and what runs.")
session = guard.signed_in()
if session is not None and session.has_first_password:
    st.info(
        "You are using the password of the first start. Change it on **My account**.",
        icon=":material/key:",
    )
flash.show()
# load
items = calls.read(alerts.collect)
environments = calls.read(health.overview)
last = calls.read(jobs.list_jobs, limit=LAST)
ingested = calls.read(ingestion.list_runs, limit=LAST)
may_sync = session is not None and session.actor.may(Permission.USER_SYNC_READ)
synced = calls.read(user_sync.list_runs, limit=LAST) if may_sync else ()
# present
st.subheader("Needs attention")
red = any(item.failed for item in environments) or cards.ended_badly(last.items, ingested.items)
cards.alerts(items, all_well=not red)
st.subheader("Connections")
cards.health(environments)
st.subheader("What ran last")
cards.ran(last.items, ingested.items, synced, most=LAST)
