"""The parts of the Overview page: a card per job and one for changes, and health."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import pandas as pd
import streamlit as st

from backend.changes.schemas import ChangePage
from backend.connections.health import EnvironmentHealth, Health
from backend.core import clock
from backend.core.words import counted
from backend.jobs.schemas import KindCount
from pages.overview.ran_table import BAD, LOOKS
from pages.shared import charts, times
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
    return [(at.date(), LOOKS.get(state, state), 1) for at, state in moments]


def _card(
    title: str, waiting: Sequence[str], what: str, found: Sequence[tuple[date, str, int]]
) -> None:
    """waiting: what waits, the first one large."""
    runs, bad = Counter[date](), Counter[date]()
    for day, state, count in found:
        runs[day] += count
        bad[day] += count if state in BAD else 0
    today = clock.now().date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    shown = [(runs[day], bad[day]) for day in days]
    with st.container(border=True, gap="xsmall", key=f"trend.{title}"):
        total = sum(all_ for all_, _ in shown)
        told = " · ".join(waiting[1:]) or f"{counted(total, what)} in {DAYS} days"
        first = waiting[0] if waiting else "None waiting"
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
    size = f'viewBox="0 0 {20 * len(days)} 36" preserveAspectRatio="none"'
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
