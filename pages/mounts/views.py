"""The parts of the mounts page: entries, orphans, operations; each draws itself."""

from functools import partial

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.mounts import explorer, orphans
from backend.mounts.schemas import Filters, MountPage, OrphanPage
from pages.mounts import action_dialogs, detail_view, filter_bar, host_dialogs, tables
from pages.mounts.filter_bar import CHARTS, Wanted
from pages.shared import filters, times
from pages.shared.tables import every_page
from pages.shell import calls, flash
from pages.shell.errors import escape

EXPORT_MOST = 200_000


def entries(actor: Actor, wanted: Wanted) -> str | None:
    """Active and History: charts on demand, a page of entries; returns the open one."""
    page = calls.read(
        explorer.list_mounts,
        environment=wanted.where,
        filters=wanted.filters,
        sort=wanted.sort,
        cursor=wanted.cursor,
    )
    if page.sort != wanted.sort:
        st.caption(f"No index gives the order “{wanted.sort}” with these filters: newest first.")
    if st.session_state.get(CHARTS):
        tables.charts(calls.read(explorer.charts, environment=wanted.where, filters=wanted.filters))
    if not page.items and page.next_cursor is None:
        st.info("No entry fits. Clear a filter, or look into the history.")
        return wanted.entry
    return tables.mounts(
        page.items,
        wanted.entry,
        key=f"mounts.table.{wanted.view}",
        unmount=action_dialogs.ask_to_unmount if actor.may(Permission.MOUNTS_WRITE) else None,
        foot=lambda: _foot(actor, page, wanted),
    )


def _foot(actor: Actor, page: MountPage, wanted: Wanted) -> None:
    st.download_button(
        "Download CSV",
        data=partial(_export, calls.database(), actor, wanted),
        file_name=f"mounts-{wanted.view}.csv",
        mime="text/csv",
        key="mounts.csv",
        icon=":material/download:",
        on_click="ignore",
        help=f"The filtered entries, at most {EXPORT_MOST:,}; `mounts export` goes to a million.",
    )
    st.caption(_counted(page, wanted), width="content")
    filter_bar.pager(page.next_cursor, complete=page.complete)


def _counted(page: MountPage, wanted: Wanted) -> str:
    """How many entries fit, as far as that is known. Counts are kept for some seconds; where all
    entries are on the page, one that was just mounted is among them."""
    if not wanted.cursor and page.next_cursor is None and page.complete:
        return f"{len(page.items):,} entries."
    found = calls.read(explorer.facets, environment=wanted.where, filters=wanted.filters)
    if found.exact:
        return f"{found.at_least:,} entries."
    if found.estimated:
        return f"About {found.total:,} entries (the database's estimate)."
    return f"More than {found.at_least:,} entries."


def _export(database: Database, actor: Actor, wanted: Wanted) -> bytes:
    """The filtered entries as CSV.

    Streamlit calls this at the click, outside the page's script: everything it needs is given.
    """
    with database.read() as session:
        pieces = explorer.export_csv(
            session, actor, environment=wanted.where, filters=wanted.filters, most=EXPORT_MOST
        )
        return "".join(pieces).encode()


def found_orphans(actor: Actor, wanted: Wanted) -> str | None:
    """What the last scan found, with its evidence; returns the open entry."""
    asked = {
        "environment": wanted.where,
        "filters": wanted.filters,
        "reason": wanted.reason,
    }
    page = calls.read(orphans.list_found, **asked, cursor=wanted.cursor)
    watch = calls.read(orphans.watch, environment=wanted.where)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        times.caption("Last scan", page.found_at, never="never; the schedule will look soon")
        st.space("stretch")
        if actor.may(Permission.MOUNTS_WRITE):
            _max_age(wanted, watch.max_age_hours)
            host_dialogs.offer(page.items)
    if page.failing_since is not None:
        since = times.relative(page.failing_since)
        st.error(f"No scan has succeeded since {since}. {escape(page.problem)}")
    elif page.problem:
        st.warning(escape(page.problem), icon=":material/info:")
    if not page.complete:
        st.warning(f"The scan stopped at {orphans.MAX_SCAN:,} mounted entries.")
    if not page.items:
        _none(page)
        return wanted.entry
    entry = tables.orphans(
        page.items,
        wanted.entry,
        key="mounts.table.orphans",
        everything=lambda: every_page(orphans.list_found, **asked),
        foot=lambda: filter_bar.pager(page.next_cursor),
    )
    for item in page.items:
        if item.key == entry:
            st.markdown("**Why it looks orphaned**")
            st.markdown("\n".join(f"- {escape(said)}" for said in item.evidence.values()))
    return entry


def _none(page: OrphanPage) -> None:
    """Nothing to list. That nothing was found is said only where everything was looked at."""
    if page.found_at is None:
        st.info("No scan has looked here yet, so nothing is known.", icon=":material/info:")
    elif page.failing_since is not None:
        st.info("The last scan that succeeded found none that fits; what came since is not known.")
    elif page.problem or not page.complete:
        st.info("Of what was looked at, nothing fits.", icon=":material/info:")
    else:
        st.success("No orphan fits.", icon=":material/check_circle:")


def _max_age(wanted: Wanted, hours: int) -> None:
    with st.popover(f"Too old after {hours} h", icon=":material/timer:"):
        value = st.number_input("Hours", 1, orphans.MAX_AGE_HOURS, hours, key="mounts.max_age")
        if st.button("Save", key="mounts.max_age.save"):
            saved = calls.write(orphans.set_max_age, environment=wanted.where, hours=int(value))
            if saved is not None:
                flash.success("The next scan uses the new age.")
                st.rerun()


def operations(actor: Actor, wanted: Wanted) -> None:
    """Requests to DMS servers, and the details of the chosen one."""
    asked = {
        "environment": wanted.where,
        "host": wanted.filters.host,
        "target": wanted.filters.target,
        "job": wanted.filters.job,
        "status": wanted.state,
    }
    cursor = wanted.cursor if filters.number("cursor") is not None else ""
    page = calls.read(explorer.list_operations, **asked, cursor=cursor)
    chosen = st.query_params.get("operation", "")
    if page.items:
        chosen = tables.operations(
            page.items,
            chosen,
            key="mounts.table.operations",
            everything=lambda: every_page(explorer.list_operations, **asked),
            foot=lambda: filter_bar.pager(page.next_cursor),
        )
        if chosen != st.query_params.get("operation", ""):
            filters.put("operation", chosen)
            st.rerun()
    else:
        filtered = wanted.state or wanted.cursor or wanted.filters != Filters()
        st.info(
            "No operation fits. Clear a filter."
            if filtered
            else "No operation was made yet. They appear here when somebody mounts through this "
            "client."
        )
    if chosen:
        detail_view.one_operation(actor, wanted, chosen)
