"""The audit log's filters, its list, and one event in full."""

from datetime import timedelta

import pandas as pd
import streamlit as st

from backend.accounts.audit_log import AuditFilter
from backend.accounts.schemas import AuditPage, AuditRow
from backend.core import clock
from pages.shared import filters, rows, status, times
from pages.shell.errors import escape

PERIODS = {"last_hour": 1, "last_day": 24, "last_7_days": 168, "last_30_days": 720}
OUTCOMES = ("succeeded", "failed", "refused", "unknown", "conflict")


def ask() -> AuditFilter:
    """The filters of the URL."""
    who, what, about, how, when = st.columns(5)
    with who:
        name = filters.text("By", "by", key="audit.by", placeholder="admin")
    with what:
        action = filters.text("Action", "action", key="audit.action", placeholder="accounts:")
    with about:
        subject = filters.text("About", "about", key="audit.about", placeholder="part of it")
    with how:
        outcome = filters.choice("Outcome", "outcome", OUTCOMES, key="audit.outcome")
    with when:
        period = filters.choice("When", "when", tuple(PERIODS), key="audit.when", empty="Any time")
    since = clock.now() - timedelta(hours=PERIODS[period]) if period else None
    return AuditFilter(actor=name, action=action, subject=subject, outcome=outcome, since=since)


def table(page: AuditPage, current: int | None) -> int | None:
    """Draw the list; returns the number of the open event. current: what the address names."""
    opened = rows.opened([row.number for row in page.items], current, key="audit.table")
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
    st.dataframe(
        frame,
        hide_index=True,
        key="audit.table",
        column_config={
            "When": times.column("When"),
            # A whole URN would push the outcome out of sight; the details have it in full.
            "About": st.column_config.TextColumn("About", width=190),
        },
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
    )
    return opened


def details(row: AuditRow) -> None:
    """Everything about one event."""
    with st.container(border=True):
        outcome = status.markdown(row.outcome) if row.outcome else ""
        st.markdown(f"**{escape(row.action)}** {escape(row.subject)} {outcome}")
        st.caption(f"No. {row.number}, {times.exact(row.at)}, by {escape(row.actor_name)}")
        st.json(row.details)
        rows.show(row.number, key="audit.chosen")
