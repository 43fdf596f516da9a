"""The Overview's table of what runs, and of what ran last and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from backend.ingestion.schemas import RunView
from backend.jobs.schemas import JobView
from backend.user_sync.schemas import RunView as SyncRun
from pages.shared import names, tables
from pages.shell import registry

#: What a user-sync run calls its ends, in the words of the others.
LOOKS = {"partial": "conflict", "stopped": "interrupted"}
BAD = frozenset(("conflict", "failed", "interrupted", "unknown"))
_OPEN = frozenset(("queued", "running", "accepted"))
_TABLE = "overview.ran"


def draw(
    jobs: Sequence[JobView], ingestions: Sequence[RunView], synced: Sequence[SyncRun], *, most: int
) -> None:
    """The portal's jobs, the runs of AWS, and the runs of user sync that a command line worked
    through, which are no jobs. What runs now comes first; a row leads to its page."""
    found = [*map(_job, jobs), *map(_ingestion, ingestions)]
    found += [_synced(run) for run in synced if run.job_id is None]
    if not found:
        st.caption("Nothing has run yet. Plans, runs and scans appear here as soon as they start.")
        return
    shown = sorted(found, key=lambda each: (each.state in _OPEN, each.at), reverse=True)[:most]
    opened = tables.choose(
        shown,
        _row,
        id_of=lambda each: (each.url_path, *each.query.values()),
        current=None,
        title="Run",
        key=_TABLE,
        alt="What runs, and what ran last, newest first",
        states=("State",),
        optional=("Progress", "Why"),
        height="content",
        config={
            "Run": st.column_config.TextColumn("Run", width=310),
            "Progress": st.column_config.ProgressColumn("Progress", format="percent", width=90),
        },
    )
    for each in shown:
        if opened == (each.url_path, *each.query.values()):
            page = next(page for page in registry.PAGES if page.url_path == each.url_path)
            st.switch_page(page.path, query_params=each.query)


def ended_badly(
    jobs: Sequence[JobView], ingestions: Sequence[RunView], synced: Sequence[SyncRun]
) -> bool:
    """Whether any of what ran last did not end well."""
    ends = {*(view.state for view in jobs), *(run.status for run in ingestions)}
    return bool(ends & BAD or {run.state for run in synced} & LOOKS.keys())


@dataclass(frozen=True)
class _Ran:
    """at: when it ended, or was asked for. progress: from 0.0 to 1.0 while that is known."""

    at: datetime
    state: str
    what: str
    actor_name: str
    error: str | None
    url_path: str
    query: dict[str, str]
    progress: float | None = None


def _row(each: _Ran) -> dict[str, Any]:
    return {
        "State": each.state,
        "Run": each.what,
        "Progress": each.progress,
        "By": each.actor_name,
        "When": each.at,
        "Why": each.error,
    }


def _job(view: JobView) -> _Ran:
    return _Ran(
        at=view.finished_at or view.created_at,
        state=view.state,
        what=f"{view.title}: {view.subject}",
        actor_name=view.actor_name,
        error=view.error,
        url_path="jobs",
        query={"job": str(view.id)},
        progress=None if view.ended else view.share,
    )


def _ingestion(run: RunView) -> _Ran:
    return _Ran(
        at=run.finished_at or run.created_at,
        state=run.status,
        what=f"Ingestion: {names.urn_name(run.subject)} in {run.environment}",
        actor_name=run.actor_name,
        error=None,
        url_path="ingestion",
        query={"view": "runs", "run": run.run_id},
    )


def _synced(run: SyncRun) -> _Ran:
    return _Ran(
        at=run.finished_at or run.created_at,
        state=LOOKS.get(run.state, run.state),
        what=f"Apply user changes: run {run.id} in {run.environment}",
        actor_name=run.actor_name,
        error=run.note,
        url_path="user-sync",
        query={"environment": run.environment, "view": "history", "run": str(run.id)},
    )
