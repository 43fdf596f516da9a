"""Recipes and DataHub's sources that start by themselves."""

from collections.abc import Mapping

import streamlit as st

from backend.core import cron
from backend.core.access import Actor, Permission
from backend.ingestion import schedules
from backend.ingestion.schedules import ScheduleView
from pages.shared import tables
from pages.shell import calls, flash
from pages.shell.errors import escape


def form(
    actor: Actor,
    environment: str,
    kind: str,
    name: str,
    title: str,
    values: Mapping[str, str] | None = None,
) -> None:
    """The times at which one of them starts; what is set replaces what was."""
    if not actor.may(Permission.INGESTION_RUN):
        return
    key, where = f"ingestion.schedule.{kind}.{name}", environment or None
    with st.popover("Schedule", key=f"{key}.open", width="stretch"):
        times = st.text_input(
            "Start by schedule (cron, UTC)", key=f"{key}.cron", placeholder="0 6 * * 1-5"
        )
        if values:
            st.caption("With the values entered here, which are stored encrypted.")
        if st.button("Save", key=f"{key}.save"):
            saved = calls.write(
                schedules.put_schedule,
                kind=kind,
                name=name,
                times=times,
                title=title,
                values=values or {},
                environment=where,
            )
            if saved is not None:
                flash.success(f"{escape(saved.title)}: {escape(saved.said())}.")
                st.rerun()
        if st.button("Remove", key=f"{key}.remove"):
            removed = calls.write(
                schedules.remove_schedule, kind=kind, name=name, environment=where
            )
            if removed is not None:
                flash.success(f"{escape(removed)} no longer starts by itself.")
                st.rerun()


def draw(environment: str) -> None:
    """What is set, the next one first."""
    found = calls.read(schedules.list_schedules, environment=environment or None)
    if not found:
        return
    st.header("Schedules", anchor=False)
    tables.show(found, _row, key="ingestion.schedules", alt="What starts by itself, next one first")


def _row(item: ScheduleView) -> dict[str, object]:
    return {
        "What": item.title,
        "Kind": item.kind,
        "Times": cron.in_words(item.cron),
        "Next": item.next_at,
        "Last": item.last_at,
        "Run": str(item.last_job_id or ""),
        "Problem": item.last_problem,
        "Set by": item.set_by,
    }
