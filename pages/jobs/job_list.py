"""The Runs page's filters and its list."""

from typing import Any

import streamlit as st

from backend.jobs import registry
from backend.jobs import service as jobs
from backend.jobs.schemas import JobPage, JobView
from pages.jobs import runs_per_day
from pages.shared import filters, tables, times


def ask() -> dict[str, Any]:
    """The filters of the URL as arguments of the service."""
    with filters.folded("jobs"):
        state, domain, who = st.columns(3)
        with state:
            states = filters.choices(
                "State", "state", runs_per_day.STATES, key="jobs.state", empty="All"
            )
        with domain:
            kind = filters.choice("Area", "room", registry.domains(), key="jobs.room")
        with who:
            name = filters.text("Started by", "by", key="jobs.by", placeholder="name")
    return {
        "states": states,
        "kind": kind,
        "actor_name": name,
        "before": filters.number("before"),
    }


def table(page: JobPage, wanted: dict[str, Any], current: int | None) -> int | None:
    """Draw the list; returns the id of the open job. current: what the address names."""
    return tables.choose(
        page.items,
        _row,
        id_of=lambda view: view.id,
        current=current,
        title="What",
        key="jobs.table",
        alt="Background runs, newest first",
        states=("State",),
        hidden=("Kind", "Started", "Ended", "Error"),
        file="runs",
        everything=lambda: tables.every_page(
            jobs.list_jobs, "before", **{**wanted, "before": None, "limit": 200}
        ),
        foot=lambda: pages(page),
    )


def pages(page: JobPage) -> None:
    """The way to the list's other pages."""
    filters.pages(page.next_cursor, parameter="before", key="jobs")


def _row(view: JobView) -> dict[str, Any]:
    return {
        "Run": view.id,
        "Kind": view.kind,
        "What": view.title,
        "About": view.subject,
        "State": view.state,
        "By": view.actor_name,
        "Created": view.created_at,
        "Took": times.took(view.started_at, view.finished_at),
        "Started": view.started_at,
        "Ended": view.finished_at,
        "Error": view.error,
    }
