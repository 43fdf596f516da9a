"""Look up who did what and when, and prove that the log was not changed."""

from datetime import timedelta

import pandas as pd
import streamlit as st

from backend.accounts import audit_log
from backend.accounts.audit_log import AuditFilter, AuditPage, AuditRow
from backend.core import clock
from backend.core.access import Permission
from pages.shell import calls, flash, guard
from pages.shell.errors import escape
from pages.widgets import filters, status, times

PERIODS = {"last_hour": 1, "last_day": 24, "last_7_days": 168, "last_30_days": 720}
OUTCOMES = ("succeeded", "failed", "refused", "unknown", "conflict")


def ask() -> AuditFilter:
    """The filters of the URL."""
    who, what, about, how, when = st.columns(5)
    with who:
        name = filters.text("By", "by", key="audit.by")
    with what:
        action = filters.text("Action", "action", key="audit.action", placeholder="accounts:")
    with about:
        subject = filters.text("About", "about", key="audit.about")
    with how:
        outcome = filters.choice("Outcome", "outcome", OUTCOMES, key="audit.outcome")
    with when:
        period = filters.choice("When", "when", tuple(PERIODS), key="audit.when", empty="Any time")
    since = clock.now() - timedelta(hours=PERIODS[period]) if period else None
    return AuditFilter(actor=name, action=action, subject=subject, outcome=outcome, since=since)


def table(page: AuditPage) -> AuditRow | None:
    """Draw the list; returns the chosen row."""
    frame = pd.DataFrame(
        {
            "No.": [row.number for row in page.items],
            "When": [row.at for row in page.items],
            "Exact time": [times.exact(row.at) for row in page.items],
            "By": [row.actor_name for row in page.items],
            "Action": [row.action for row in page.items],
            "About": [row.subject for row in page.items],
            "Phase": [row.phase for row in page.items],
            "Outcome": [row.outcome for row in page.items],
        }
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        key="audit.table",
        column_config={"When": times.column("When")},
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
    )
    rows = event["selection"]["rows"]
    return page.items[rows[0]] if rows and rows[0] < len(page.items) else None


def details(row: AuditRow) -> None:
    """Everything about one event."""
    with st.container(border=True):
        outcome = status.markdown(row.outcome) if row.outcome else ""
        st.markdown(f"**{escape(row.action)}** {escape(row.subject)} {outcome}")
        st.caption(f"No. {row.number}, {times.exact(row.at)}, by {escape(row.actor_name)}")
        st.json(row.details)


def verify() -> None:
    """Walk the chain and say what was found."""
    with st.spinner("Checking every row …"):
        found = calls.read(audit_log.verify)
    if found.ok:
        st.success(f"The log is whole: {found.events:,} events.", icon=":material/verified:")
    else:
        st.error(
            f"The log was changed: {escape(found.problem)} (first broken row: "
            f"{found.first_broken}). Tell whoever is responsible for security.",
            icon=":material/gpp_bad:",
        )


def export(wanted: AuditFilter) -> None:
    """Make the CSV and offer it."""
    made = calls.write(audit_log.export_csv, wanted=wanted)
    if made is None:
        return
    if made.truncated:
        st.warning(f"Only the newest {made.rows:,} rows are in the file. Narrow the filters.")
    st.download_button(
        f"Download {made.rows:,} rows",
        made.text.encode("utf-8-sig"),
        file_name=f"audit-{clock.now():%Y%m%d-%H%M%S}.csv",
        mime="text/csv",
        key="audit.download",
        on_click="ignore",
    )


# gate
actor = guard.require(Permission.AUDIT_READ)
st.title("Audit log")
flash.show()
# ask
wanted = ask()
before = filters.number("before")
# load
listed = calls.read(audit_log.list_events, wanted=wanted, before=before)
# present
if not listed.items:
    st.info("No event fits these filters.")
else:
    chosen = table(listed)
    if chosen is None:
        st.caption("Choose an event to see its details.")
    else:
        details(chosen)
# act
newest, older, check, csv = st.columns(4)
if before is not None:
    newest.button(
        "Newest events",
        key="audit.newest",
        on_click=lambda: st.query_params.pop("before", None),
        width="stretch",
    )
if listed.next_before is not None:
    older.button(
        "Older events",
        key="audit.older",
        on_click=lambda: st.query_params.update({"before": str(listed.next_before)}),
        width="stretch",
    )
if check.button("Verify the log", key="audit.verify", icon=":material/verified:", width="stretch"):
    verify()
if actor.may(Permission.AUDIT_EXPORT) and csv.button(
    "Prepare CSV", key="audit.export", icon=":material/table:", width="stretch"
):
    export(wanted)
