"""How long rows are kept, how many are due, and the clean-up on request."""

from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.words import counted
from backend.jobs import retention
from backend.jobs.answers import RetentionRule
from pages.shared import confirm, job_progress, tables
from pages.shell import calls

_RUN = "system.retention"
_JOB = "system.retention.job"


def show(actor: Actor) -> None:
    """The rules; for admins the button that follows them at once."""
    items = calls.read(retention.show).items
    due = sum(rule.due for rule in items)
    st.markdown(
        f"A daily run removes what has been kept long enough; audit events, jobs and runs go into "
        f"signed archives first. **{due:,}** rows would be removed now."
    )
    if actor.may(Permission.RETENTION_RUN):
        st.button(
            "Remove them now …",
            key=f"{_RUN}.open",
            icon=":material/auto_delete:",
            disabled=not due,
            help=None if due else "No row is old enough.",
            on_click=confirm.open_dialog,
            args=(_RUN,),
        )
    if _JOB in st.session_state:
        job_progress.show(st.session_state[_JOB], key=_JOB)
    tables.show(
        sorted(items, key=lambda rule: (-rule.due, rule.setting is None, rule.table)),
        _row,
        key="system.rules",
        alt="Each table with how long its rows are kept and how many would be removed now",
        config={
            "Table": st.column_config.TextColumn(width=150),
            "Due now": st.column_config.NumberColumn(width=115),
            "Its rows are kept": st.column_config.TextColumn(width=560),
        },
    )
    confirm.ask(
        _RUN,
        title="Remove old rows",
        body=f"Removed for good: {', '.join(_counted(rule) for rule in items if rule.due)}. Audit "
        "events, jobs and runs go into signed files in the folder archive/ below the data folder "
        "first.",
        action="Remove",
        on_confirm=_start,
        typed="remove",
    )


def _counted(rule: RetentionRule) -> str:
    return f"{counted(rule.due, 'row')} of {rule.table}"


def _start() -> bool | None:
    job_id = calls.write(retention.start)
    if job_id is None:
        return False
    st.session_state[_JOB] = job_id
    return None


def _row(rule: RetentionRule) -> dict[str, Any]:
    return {
        "Table": rule.table,
        "Due now": rule.due,
        "Its rows are kept": rule.kept,
        "Setting": rule.setting or "",
    }
