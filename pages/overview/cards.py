"""The parts of the Overview page: a card per job and one for changes, health, what ran last."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd
import streamlit as st

from backend.changes.schemas import ChangePage
from backend.connections.health import EnvironmentHealth, Health
from backend.core import clock
from backend.core.words import counted
from backend.ingestion.schemas import RunView
from backend.jobs.schemas import JobView, KindCount
from backend.user_sync.schemas import RunView as SyncRun
from pages.shared import charts, names, status, times
from pages.shell import registry
from pages.shell.errors import escape

DAYS = 14
#: When something was started, and its status.
Moment = tuple[datetime, str]
#: More environments than a table of this width can name are on Connections.
SHOWN_ENVIRONMENTS = 4
#: What people start of each job; its checks and clean-ups are not its work.
_WORK = {
    "user-sync": ("User sync", ("user_sync.plan", "user_sync.apply")),
    "mounts": ("Mounts", ("mounts.operate",)),
    "tokenization": ("Tokenization", ("tokenization.run",)),
    "ingestion": ("Ingestion", ("ingestion.managed", "ingestion.recipe")),
}
#: What a user-sync run calls its ends, in the words of the others.
_LOOKS = {"partial": "conflict", "stopped": "interrupted"}
_BAD = frozenset(("conflict", "failed", "interrupted", "unknown"))
_SIGNS = {"ok": ":green[:material/check:]", "failed": ":red[:material/close:]"}


def work(
    waiting: Mapping[str, Mapping[str, int]],
    started: Sequence[KindCount],
    elsewhere: Mapping[str, Sequence[Moment]],
    to_approve: ChangePage,
    requests: Sequence[Moment],
) -> None:
    """A card per job: what waits for somebody, and what was started on each of the last 14 days;
    the last card says what waits for this person's approval.

    waiting: page → word → how many. elsewhere: page → its runs that are no jobs of the portal, such
    as those in AWS; requests: the change requests.
    """
    *columns, last = st.columns(len(_WORK) + 1)
    for column, (page, (title, kinds)) in zip(columns, _WORK.items(), strict=True):
        found = _per_day(elsewhere.get(page, ()))
        found += [(each.day, each.state, each.count) for each in started if each.kind in kinds]
        with column:
            _card(title, _told(waiting.get(page, {})), "run", found)

    with last:
        count, more = len(to_approve.items), "+" if to_approve.next_cursor else ""
        says = [f"{count:,}{more} to approve"] if count else []
        _card("Changes", says, "request", _per_day(requests))


def _told(counts: Mapping[str, int]) -> list[str]:
    return [f"{count:,} {word}" for word, count in counts.items()]


def _per_day(moments: Sequence[Moment]) -> list[tuple[date, str, int]]:
    return [(at.date(), _LOOKS.get(state, state), 1) for at, state in moments]


def _card(
    title: str, waiting: Sequence[str], what: str, found: Sequence[tuple[date, str, int]]
) -> None:
    """waiting: what waits, the first one large."""
    runs, bad = Counter[date](), Counter[date]()
    for day, state, count in found:
        runs[day] += count
        bad[day] += count if state in _BAD else 0
    today = clock.now().date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    shown = [(runs[day], bad[day]) for day in days]
    with st.container(border=True, gap="xsmall"):
        total = sum(all_ for all_, _ in shown)
        told = " · ".join(waiting[1:]) or f"{counted(total, what)} in {DAYS} days"
        first = waiting[0] if waiting else "Nothing waits"
        st.metric(title, first, told, delta_color="off", delta_arrow="off")
        st.image(_trend(shown), width="stretch", alt=_said(what, shown))


def _trend(days: Sequence[tuple[int, int]]) -> str:
    """A bar per day, all runs and in red those that did not end well."""
    most = max(1, *(runs for runs, _ in days))
    bars = []
    for place, (runs, bad) in enumerate(days):
        parts = (
            (charts.GREY, max(4, 36 * runs // most) if runs else 1),
            (charts.RED, max(4, 36 * bad // most) if bad else 0),
        )
        bars += [
            f'<rect x="{20 * place}" y="{36 - tall}" width="14" height="{tall}" fill="{colour}"/>'
            for colour, tall in parts
        ]
    size = f'viewBox="0 0 {20 * len(days)} 36" width="{20 * len(days)}" height="36"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(bars)}</svg>'


def _said(what: str, days: Sequence[tuple[int, int]]) -> str:
    """The bars in words; the metric's own chart has marks without any."""
    told = ", ".join(str(runs) for runs, _ in days)
    failed = sum(bad for _, bad in days)
    return f"{what.capitalize()}s per day, today last: {told}. {failed} of them did not end well."


def health(environments: Sequence[EnvironmentHealth]) -> None:
    """Connections × environments: each cell says how its last test ended."""
    if not environments:
        st.info("No environment is configured yet. An admin adds the first one on Connections.")
        to_page("connections", "Connections")
        return
    ordered = sorted(environments, key=lambda e: (not e.environment.is_default, -e.failed))
    shown = ordered[:SHOWN_ENVIRONMENTS]
    with _row():
        for item in shown:
            name = item.environment.name
            to_page("connections", escape(name), query={"environment": name}, help=_tested(item))
    st.table(
        _grid(shown),
        border="horizontal",
        hide_header=len(shown) == 1,
        alt="The last test of each connection",
    )
    hidden = ordered[SHOWN_ENVIRONMENTS:]
    if hidden:
        failed = sum(e.failed for e in hidden)
        st.caption(f"{len(hidden)} more environments, {failed} failing connections among them.")
        to_page("connections", "All environments")


def _grid(environments: Sequence[EnvironmentHealth]) -> pd.DataFrame:
    labels = dict.fromkeys(c.label for item in environments for c in item.connections)
    columns = {
        escape(item.environment.name): {c.label: _cell(c) for c in item.connections}
        for item in environments
    }
    return pd.DataFrame(columns, index=list(labels)).fillna("–")


def _cell(connection: Health) -> str:
    if connection.state == "untested" or connection.tested_at is None:
        return "untested"
    word = "ok" if connection.state == "ok" else "**failed**"
    return f"{_SIGNS[connection.state]} {word} {times.relative(connection.tested_at)}"


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
        with _row():
            status.badge(ended.state)
            with st.container(gap=None):  # who and when on a line of its own in every row
                to_page(
                    ended.page,
                    f"**{escape(ended.title)}** {escape(ended.subject)}",
                    query=ended.query,
                    help=f"{ended.state} {times.exact(ended.at)}",
                )
                st.caption(f"{escape(ended.actor_name)}, {times.relative(ended.at)}")
        if ended.error:
            st.caption(escape(ended.error))


def ended_badly(
    jobs: Sequence[JobView], ingestions: Sequence[RunView], synced: Sequence[SyncRun]
) -> bool:
    """Whether any of what ran last did not end well."""
    ends = {*(view.state for view in jobs), *(run.status for run in ingestions)}
    return bool(ends & _BAD or {run.state for run in synced} & _LOOKS.keys())


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
    subject = f"{names.urn_name(run.subject)} in {run.environment}"
    query = {"view": "runs", "run": run.run_id}
    return _Ran(at, run.status, "Ingestion", subject, run.actor_name, None, "ingestion", query)


def _synced(run: SyncRun) -> _Ran:
    at = run.finished_at or run.created_at
    subject = f"run {run.id} in {run.environment}"
    state = _LOOKS.get(run.state, run.state)
    query = {"environment": run.environment, "view": "history", "run": str(run.id)}
    return _Ran(
        at, state, "Apply user changes", subject, run.actor_name, run.note, "user-sync", query
    )


def to_page(
    url_path: str, label: str, *, query: Mapping[str, str] | None = None, help: str | None = None
) -> None:
    """A link to a page of the portal; its words alone where there is no such page."""
    found = next((page for page in registry.PAGES if page.url_path == url_path), None)
    if found is None or not found.path.exists():
        st.markdown(label)
        return
    st.page_link(
        found.path, label=label, icon=found.icon, query_params=dict(query or {}) or None, help=help
    )


def _row() -> "st.delta_generator.DeltaGenerator":
    return st.container(horizontal=True, vertical_alignment="center", gap="small")


def _tested(item: EnvironmentHealth) -> str | None:
    """When each connection was tested, exactly."""
    lines = [
        f"- {connection.label}: {times.exact(connection.tested_at) or 'never tested'}"
        for connection in item.connections
    ]
    return "\n".join(lines) or None
