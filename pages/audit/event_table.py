"""The audit log's filters, its list, and one event in full."""

from datetime import timedelta
from typing import Any

import streamlit as st

from backend.accounts.audit_log import AuditFilter
from backend.accounts.schemas import AuditPage, AuditRow
from backend.core import clock
from pages.shared import faces, filters, names, status, tables, times
from pages.shell.errors import escape

PERIODS = {"last_hour": 1, "last_day": 24, "last_7_days": 168, "last_30_days": 720}
OUTCOMES = ("succeeded", "failed", "refused", "unknown", "conflict")


def ask() -> AuditFilter:
    """The filters of the URL."""
    with filters.folded("audit"):
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
            period = filters.choice(
                "When", "when", tuple(PERIODS), key="audit.when", empty="Any time"
            )
    since = clock.now() - timedelta(hours=PERIODS[period]) if period else None
    return AuditFilter(actor=name, action=action, subject=subject, outcome=outcome, since=since)


def table(page: AuditPage, current: int | None) -> int | None:
    """Draw the list; returns the number of the open event. current: what the address names."""
    return tables.choose(
        page.items,
        _row,
        id_of=lambda row: row.number,
        current=current,
        title="What",
        key="audit.table",
        alt="Events of the audit log, newest first",
        states=("Outcome",),
        config={
            "Avatar": st.column_config.ImageColumn("Avatar", width=65),
            "What": st.column_config.TextColumn("What", width="large"),
        },
    )


def _row(row: AuditRow) -> dict[str, Any]:
    return {
        "No.": row.number,
        "When": row.at,
        "Avatar": faces.of(row.actor_name, row.actor_kind),
        "By": row.actor_name,
        "What": names.with_names(row.sentence),
        "Action": row.action,
        "Outcome": row.outcome,
    }


def details(row: AuditRow) -> None:
    """Everything about one event."""
    if row.outcome:
        status.badge(row.outcome)
    said = names.with_names(row.sentence)  # as the list says it
    st.markdown(f"**{escape(said)}**")
    about = f", about {escape(row.subject)}" if said != row.sentence else ""
    st.caption(
        f"No. {row.number}, {times.exact(row.at)}, by {escape(row.actor_name)}, "
        f"action {escape(row.action)}{about}"
    )
    if row.changes:
        tables.show(
            row.changes,
            lambda each: {"Field": each.field, "Before": each.old, "After": each.new},
            key="audit.changes",
            alt="What the event changed, with the values before and after it",
        )
    st.json(row.details, expanded=not row.changes)  # what changed is said above
