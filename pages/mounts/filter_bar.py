"""What the mounts page shows: view, environment, filters, order and place, all in the URL."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time

import streamlit as st

from backend.connections import environments
from backend.core.errors import PortalError
from backend.mounts import explorer, orphans
from backend.mounts.schemas import EMPTY, MOST_JOB, ORPHAN_KINDS, SORTS, Facets, Filters
from pages.shared import filters, times
from pages.shell import calls

VIEWS = ("active", "orphans", "history", "operations", "hosts", "targets")
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
#: Whether charts are drawn.
CHARTS = "mounts.charts"
_SHOWN_FOR = "mounts.cursor.for"
_YES_NO = {"yes": True, "no": False}


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


def ask(actions: Callable[[str | None], None]) -> Wanted:
    """Draw the chosen view's filters and read them. actions: draws buttons on the first line, for
    the environment."""
    names = [item.name for item in calls.once(environments.list_all)]
    environment = filters.environment(names) if names else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        view = _view()
        st.space("stretch")
        if view in ("active", "history"):
            st.toggle("Charts", key=CHARTS)
        actions(environment or None)
    if view in ("hosts", "targets"):
        return Wanted(view, environment, Filters(), "newest", "", "", "", None)
    found, sort, reason, state = _filters(view, environment or None)
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


def _filters(view: str, environment: str | None) -> tuple[Filters, str, str, str]:
    """The line of filters: what is looked for, the order, the evidence, the status."""
    asked = st.query_params
    mounted, deleted = (True, False) if view == "active" else (None, None)
    known = (
        _facets(
            environment,
            Filters(
                asked.get("host", ""), asked.get("target", ""), mounted=mounted, deleted=deleted
            ),
        )
        if view in ("active", "history")
        else (None, None)
    )
    with filters.folded("mounts", horizontal=True):
        host = _name("Host", "host", known[0].hosts if known[0] else ())
        target = _name("Target", "target", known[1].targets if known[1] else ())
        job = filters.text(
            "Backup job",
            "job",
            key="mounts.job.filter",
            placeholder="Backup job",
            label_visibility="collapsed",
            width=120,
        )
        sort, reason, state = _last(view, environment)
        if view == "history":
            mounted, deleted = _flag("mounted", "unmounted"), _flag("deleted", "not_deleted")
            since, until = _range()
        else:
            since = until = None
    jobid = job_number(job)
    if job and jobid is None:
        st.warning(
            "A backup job is a whole number; this filter is left out.", icon=":material/info:"
        )
    return Filters(host, target, jobid, mounted, deleted, since, until), sort, reason, state


def _facets(environment: str | None, asked: Filters) -> tuple[Facets | None, Facets | None]:
    """The hosts to choose from, whatever host is chosen, and the targets likewise; nothing where
    the ledger cannot say, which the list then does."""
    try:
        return (
            calls.fetch(explorer.facets, environment=environment, filters=replace(asked, host="")),
            calls.fetch(
                explorer.facets, environment=environment, filters=replace(asked, target="")
            ),
        )
    except PortalError:
        return None, None


#: What a count puts behind a name; the browser says names with the count it last saw.
_COUNT = re.compile(r" \([\d,]+\)$")


def without_count(label: str) -> str:
    """The name that a choice stands for, also one whose count has changed since it was drawn."""
    return _COUNT.sub("", label).strip()


def _name(label: str, parameter: str, counts: Sequence[tuple[str, int]]) -> str:
    """A host or target kept in `?parameter=`: chosen with its count, or typed."""
    known = {name or EMPTY: count for name, count in counts}
    wanted, key = st.query_params.get(parameter, ""), f"mounts.{parameter}"
    if wanted and wanted not in known:
        known[wanted] = 0

    def store() -> None:
        filters.put(parameter, without_count(str(st.session_state[key] or "")))

    if st.session_state.get(key) != (wanted or None):
        st.session_state[key] = wanted or None
    st.selectbox(
        label,
        list(known),
        index=None,
        format_func=lambda name: f"{name} ({known[name]:,})" if known.get(name) else str(name),
        placeholder=label,
        key=key,
        accept_new_options=True,
        filter_mode="contains",
        label_visibility="collapsed",
        width=175,
        on_change=store,
    )
    return wanted


def job_number(text: str) -> int | None:
    """Any whole number that a column may hold, negative ones too."""
    try:
        jobid = int(text)
    except ValueError:
        return None
    return jobid if -MOST_JOB <= jobid <= MOST_JOB else None


def _view() -> str:
    return filters.view(
        {view: view.capitalize() for view in VIEWS}, VIEWS[0], key="mounts.view", forget=_OPEN
    )


#: What another view has no use for.
_OPEN = ("entry", "operation", "cursor")


def _last(view: str, environment: str | None) -> tuple[str, str, str]:
    """Order, or the kind of evidence with its counts, or the status of operations."""
    if view == "orphans":
        counts = calls.read(orphans.list_found, environment=environment, limit=1).counts

        def shown(kind: str) -> str:
            return f"{REASONS[kind]} ({counts[kind]:,})" if kind in counts else REASONS[kind]

        return "", _choice("Evidence", "reason", ORPHAN_KINDS, "Any evidence", shown), ""
    if view == "operations":
        return "", "", _choice("Status", "state", STATES, "Any status")
    return _choice("Order", "sort", SORTS[1:], "newest", width=120), "", ""


def _choice(
    label: str,
    parameter: str,
    options: Sequence[str],
    empty: str,
    shown: Callable[[str], str] = lambda option: option.replace("_", " "),
    width: int = 190,
) -> str:
    return filters.choice(
        label,
        parameter,
        options,
        key=f"mounts.{parameter}",
        empty=empty,
        shown=shown,
        label_visibility="collapsed",
        width=width,
    )


def _flag(yes: str, no: str) -> bool | None:
    """Mounted or not, deleted or not, kept in `?mounted=yes`."""
    said = {"yes": yes.replace("_", " "), "no": no.replace("_", " ")}
    either = f"{said['yes']} or not"
    chosen = _choice(yes.capitalize(), yes, list(_YES_NO), either, said.__getitem__, width=135)
    return _YES_NO.get(chosen)


def _range() -> tuple[datetime | None, datetime | None]:
    """When the entry was created, by days of the reader's zone."""
    dated = {"since", "until"} & set(st.query_params)
    with st.popover("Created …", type="primary" if dated else "secondary"):
        since, until = _day("Created from", "since"), _day("Created until", "until")
    zone = times.zone()
    return (
        datetime.combine(since, time.min, zone) if since else None,
        datetime.combine(until, time.max, zone) if until else None,
    )


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


def pager(following: str | None, *, complete: bool = True) -> None:
    """The other pages; a search that was cut short goes on."""
    if not complete:
        st.caption(
            f"Few entries fit these filters. The search stops after "
            f"{explorer.SEARCH_LIMIT:,} entries; go on with **Look further**.",
            width="content",
        )
    words = "Next page" if complete else "Look further"
    filters.pages(following, parameter="cursor", key="mounts", following=words)
