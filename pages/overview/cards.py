"""The parts of the Overview page: alerts, health, what ran last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from backend.connections.health import EnvironmentHealth
from backend.core.alerts import Alert
from backend.ingestion.schemas import RunView
from backend.jobs.schemas import JobView
from backend.user_sync.schemas import RunView as SyncRun
from pages.shared import names, status, times
from pages.shell import registry
from pages.shell.errors import escape

_ICONS = {"error": ":material/error:", "warning": ":material/warning:", "info": ":material/info:"}
SHOWN_ENVIRONMENTS = 15


def alerts(items: Sequence[Alert], *, all_well: bool) -> None:
    """What somebody should look at, each with a link to where it can be done.

    all_well: nothing below is red; without it an empty list is no good news.
    """
    if not items and all_well:
        st.success("Nothing needs attention.", icon=":material/check_circle:")
    elif not items:
        st.info("Nothing here is for you to act on; what is red below is for others.")
    for item in items:
        text, link = st.columns([6, 1], vertical_alignment="center")
        since = f" ({times.relative(item.since)})" if item.since else ""
        with text:
            draw = {"error": st.error, "warning": st.warning}.get(item.severity, st.info)
            draw(escape(item.text) + since, icon=_ICONS[item.severity])
        with link:
            exact = f"Since {times.exact(item.since)}" if item.since else None
            to_page(item.page, "Open", query=dict(item.query), help=exact)


def health(environments: Sequence[EnvironmentHealth]) -> None:
    """A row per environment: its name as a link, its connections as badges."""
    if not environments:
        st.info("No environment is configured yet. An admin adds the first one on Connections.")
        to_page("connections", "Connections")
        return
    ordered = sorted(environments, key=lambda e: (not e.environment.is_default, -e.failed))
    for item in ordered[:SHOWN_ENVIRONMENTS]:
        name, badges = st.columns([1, 4], vertical_alignment="center")
        with name:
            to_page(
                "connections",
                escape(item.environment.name),
                query={"environment": item.environment.name},
                help=_tested(item),
            )
        with badges:
            st.markdown(_badges(item))
    hidden = len(ordered) - SHOWN_ENVIRONMENTS
    if hidden > 0:
        failed = sum(e.failed for e in ordered[SHOWN_ENVIRONMENTS:])
        st.caption(f"{hidden} more environments, {failed} failing connections among them.")
        to_page("connections", "All environments")


def ran(
    jobs: Sequence[JobView], ingestions: Sequence[RunView], synced: Sequence[SyncRun], *, most: int
) -> None:
    """What ran last and how it ended: the portal's jobs, the runs of AWS, and the runs of user
    sync that a command line worked through, which are no jobs."""
    ends = [*map(_job, jobs), *map(_ingestion, ingestions)]
    ends += [_synced(run) for run in synced if run.job_id is None]
    found = sorted(ends, key=lambda r: r.at)
    if not found:
        st.caption("Nothing has run yet. Plans, runs and scans appear here as soon as they start.")
    for ended in reversed(found[-most:]):
        what, end = st.columns([4, 1], vertical_alignment="center")
        with what:
            st.markdown(
                f"{status.markdown(ended.state)} **{escape(ended.title)}** "
                f"{escape(ended.subject)} · {escape(ended.actor_name)}, {times.relative(ended.at)}",
                help=times.exact(ended.at),
            )
            if ended.error:
                st.caption(escape(ended.error))
        with end:
            to_page(ended.page, "Details", query=ended.query)


def ended_badly(jobs: Sequence[JobView], ingestions: Sequence[RunView]) -> bool:
    """Whether any of what ran last did not end well."""
    ends = {*(view.state for view in jobs), *(run.status for run in ingestions)}
    return bool(ends & {"failed", "interrupted", "unknown"})


@dataclass(frozen=True)
class _Ran:
    at: datetime
    state: str
    title: str
    subject: str
    actor_name: str
    error: str | None
    page: str
    query: dict[str, str]


def _job(view: JobView) -> _Ran:
    at = view.finished_at or view.created_at
    query = {"job": str(view.id)}
    return _Ran(
        at, view.state, view.title, view.subject, view.actor_name, view.error, "jobs", query
    )


def _ingestion(run: RunView) -> _Ran:
    at = run.finished_at or run.created_at
    subject = f"{names.dataset_name(run.dataset_urn)} in {run.environment}"
    query = {"view": "runs", "run": run.run_id}
    return _Ran(at, run.status, "Ingestion", subject, run.actor_name, None, "ingestion", query)


def _synced(run: SyncRun) -> _Ran:
    at = run.finished_at or run.created_at
    subject = f"run {run.id} in {run.environment}"
    state = {"partial": "conflict", "stopped": "interrupted"}.get(run.state, run.state)
    query = {"environment": run.environment, "view": "history", "run": str(run.id)}
    return _Ran(
        at, state, "Apply user changes", subject, run.actor_name, run.note, "user-sync", query
    )


def to_page(
    url_path: str, label: str, *, query: dict[str, str] | None = None, help: str | None = None
) -> None:
    """A link to a page of the portal; nothing where this person has no such page."""
    found = next((page for page in registry.PAGES if page.url_path == url_path), None)
    if found is None or not found.path.exists():
        return
    st.page_link(found.path, label=label, icon=found.icon, query_params=query or None, help=help)


def _tested(item: EnvironmentHealth) -> str | None:
    """When each connection was tested, exactly."""
    lines = [
        f"- {connection.label}: {times.exact(connection.tested_at) or 'never tested'}"
        for connection in item.connections
    ]
    return "\n".join(lines) or None


def _badges(item: EnvironmentHealth) -> str:
    words = []
    for connection in item.connections:
        when = f" {times.relative(connection.tested_at)}" if connection.tested_at else ""
        shown = {"ok": "ok", "failed": "failed", "untested": "untested"}[connection.state]
        words.append(status.markdown(shown, label=f"{connection.label}: {shown}{when}"))
    return " ".join(words) or "No connection is configured yet."
