"""What the mounts page shows: view, environment, filters, order and place, all in the URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

import streamlit as st

from backend.connections import environments
from backend.mounts import explorer
from backend.mounts.schemas import EMPTY, MOST_JOB, ORPHAN_KINDS, SORTS, Facets, Filters
from pages.shared import filters, times
from pages.shell import calls
from pages.shell.errors import escape

VIEWS = ("active", "orphans", "history", "operations")
STATES = (
    "in_flight",
    "succeeded",
    "failed",
    "not_delivered",
    "shared",
    "unknown",
    "settled",
    "released",
)
#: Kinds of evidence against a mount, in words.
REASONS = {
    "too_old": "too old",
    "host_unseen": "host unseen",
    "no_queue": "no queue",
    "no_consumer": "no consumer",
    "duplicate": "duplicate",
    "deleted_mounted": "deleted while mounted",
    "unknown_outcome": "unknown outcome",
    "unreadable": "cannot be read",
}
_SHOWN_FOR = "mounts.cursor.for"
_YES_NO = {"yes": True, "no": False}
MOST_FACETS = 15


@dataclass(frozen=True)
class Wanted:
    """Everything the URL says. environment "": there is none."""

    view: str
    environment: str
    filters: Filters
    sort: str
    reason: str
    state: str
    cursor: str
    entry: str | None

    @property
    def where(self) -> str | None:
        return self.environment or None


def ask() -> Wanted:
    """Draw the filters of the chosen view and read them."""
    view = _view()
    names = [item.name for item in calls.read(environments.list_all)]
    environment = filters.environment(names) if names else ""
    columns = st.columns([2, 2, 1.4, 2])
    with columns[0]:
        host = filters.text("Host", "host", key="mounts.host", placeholder="compute-01")
    with columns[1]:
        target = filters.text("Target", "target", key="mounts.target", placeholder="backup target")
    with columns[2]:
        job = filters.text("Job", "job", key="mounts.job.filter", placeholder="12345")
    with columns[3]:
        sort, reason, state = _last_column(view)
    mounted, deleted, since, until = _history() if view == "history" else (None, None, None, None)
    jobid = _job(job)
    if job and jobid is None:
        st.warning("A job is a whole number; this filter is left out.", icon=":material/info:")
    if view == "active":
        mounted, deleted = True, False
    found = Filters(host, target, jobid, mounted, deleted, since, until)
    return Wanted(
        view,
        environment,
        found,
        sort or "newest",
        reason,
        state,
        _cursor((view, environment, found, sort, reason, state)),
        st.query_params.get("entry") or None,
    )


def _job(text: str) -> int | None:
    """Any whole number that a column may hold, negative ones too."""
    try:
        jobid = int(text)
    except ValueError:
        return None
    return jobid if -MOST_JOB <= jobid <= MOST_JOB else None


def _view() -> str:
    wanted = st.query_params.get("view", "")
    wanted = wanted if wanted in VIEWS else VIEWS[0]
    st.session_state["mounts.view"] = wanted

    def store() -> None:
        st.query_params["view"] = st.session_state["mounts.view"] or VIEWS[0]
        for name in ("entry", "operation"):
            st.query_params.pop(name, None)

    st.segmented_control(
        "View",
        VIEWS,
        key="mounts.view",
        format_func=str.capitalize,
        on_change=store,
        label_visibility="collapsed",
    )
    return wanted


def _last_column(view: str) -> tuple[str, str, str]:
    """Order, or the kind of evidence, or the state of operations."""
    if view == "orphans":
        return "", _reason(), ""
    if view == "operations":
        return "", "", filters.choice("State", "state", STATES, key="mounts.state")
    order = SORTS[1:]
    return filters.choice("Order", "sort", order, key="mounts.sort", empty="newest"), "", ""


def _reason() -> str:
    return filters.choice(
        "Why", "reason", ORPHAN_KINDS, key="mounts.reason", shown=REASONS.__getitem__
    )


def _history() -> tuple[bool | None, bool | None, datetime | None, datetime | None]:
    first, second, third, fourth = st.columns(4)
    with first:
        mounted = filters.choice("Mounted", "mounted", list(_YES_NO), key="mounts.mounted")
    with second:
        deleted = filters.choice("Soft-deleted", "deleted", list(_YES_NO), key="mounts.deleted")
    with third:
        since = _day("Made from", "since")
    with fourth:
        until = _day("Made until", "until")
    zone = times.zone()
    start = datetime.combine(since, time.min, zone) if since else None
    end = datetime.combine(until, time.max, zone) if until else None
    return _YES_NO.get(mounted), _YES_NO.get(deleted), start, end


def _day(label: str, parameter: str) -> date | None:
    """A day kept in the URL as 2026-01-31."""
    key = f"mounts.{parameter}"
    try:
        wanted = date.fromisoformat(st.query_params.get(parameter, ""))
    except ValueError:
        wanted = None
    st.session_state[key] = wanted

    def store() -> None:
        value = st.session_state[key]
        if value:
            st.query_params[parameter] = value.isoformat()
        else:
            st.query_params.pop(parameter, None)

    st.date_input(label, key=key, value=None, on_change=store)
    return wanted


def _cursor(asked: object) -> str:
    """The place in the list; other filters start at the first page again."""
    before = st.session_state.get(_SHOWN_FOR)
    st.session_state[_SHOWN_FOR] = asked
    if before is not None and before != asked:
        st.query_params.pop("cursor", None)
    return st.query_params.get("cursor", "")


def facets(found: Facets) -> None:
    """Hosts and targets with their counts; a click filters, another one lifts the filter."""
    if found.exact:
        words = f"{found.at_least:,} entries."
    elif found.estimated:
        words = f"About {found.total:,} entries (the database's estimate)."
    else:
        words = f"More than {found.at_least:,} entries."
    if not found.exact:
        words += f" Counts below are from the newest {found.sampled:,}."
    st.caption(words)
    facet("Hosts", "host", dict(found.hosts[:MOST_FACETS]))
    facet("Targets", "target", dict(found.targets[:MOST_FACETS]))


def facet(label: str, parameter: str, counts: Mapping[str, int]) -> None:
    """Values with their counts as small buttons that set `?parameter=`; the one that is set lifts
    it again.

    Not st.pills: the browser names its choice by the label, and a label with a count that has
    just changed would lose the click.
    """
    if not counts:
        return
    counts = {value or EMPTY: count for value, count in counts.items()}
    wanted = st.query_params.get(parameter, "")
    st.caption(label)
    with st.container(horizontal=True, gap="xsmall", key=f"mounts.facet.{parameter}"):
        for value, count in counts.items():
            chosen = value == wanted
            st.button(
                f"{escape(REASONS.get(value, value))} ({count:,})",
                key=f"mounts.facet.{parameter}.{value}",
                type="primary" if chosen else "secondary",
                icon=":material/close:" if chosen else None,
                help="Show the others again." if chosen else None,
                on_click=put,
                args=(parameter, "" if chosen else value),
            )


def put(parameter: str, value: str) -> None:
    """Keep `value` in the address; "" takes the parameter away."""
    if value:
        st.query_params[parameter] = value
    else:
        st.query_params.pop(parameter, None)


def pager(following: str | None, *, complete: bool = True) -> None:
    """First page and next page; the place is in the URL, so the browser's Back works."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.query_params.get("cursor"):
            st.button(
                "First page",
                key="mounts.first",
                icon=":material/first_page:",
                on_click=filters.forget,
                args=("cursor",),
            )
        if following is not None:
            st.button(
                "Next page" if complete else "Look further",
                key="mounts.next",
                icon=":material/navigate_next:",
                on_click=lambda: st.query_params.update({"cursor": following}),
            )
        if not complete:
            st.caption(
                f"Few entries fit these filters. The search stops after "
                f"{explorer.SEARCH_LIMIT:,} entries; go on with **Look further**."
            )
