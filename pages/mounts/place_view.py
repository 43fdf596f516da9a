"""Hosts and targets: the list of those with mounts, and the page of one of them.

Its address is `?view=hosts&host=compute-01` or `?view=targets&target=s3-prod`.
"""

from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.words import counted
from backend.mounts import explorer, places
from backend.mounts.errors import MountNotFound
from backend.mounts.place_schemas import PlaceView, QueueView, Side
from backend.mounts.schemas import EMPTY, Filters
from pages.mounts import action_dialogs, detail_view, filter_bar, host_dialogs, tables
from pages.mounts.filter_bar import Wanted
from pages.shared import filters, times
from pages.shared.tables import every_page
from pages.shell import calls
from pages.shell.errors import escape


def draw(actor: Actor, wanted: Wanted) -> None:
    """The host or target of the address, else the list."""
    side: Side = "host" if wanted.view == "hosts" else "target"
    name = st.query_params.get(side, "")
    if name:
        try:
            found = calls.fetch(places.show, environment=wanted.where, side=side, name=name)
        except MountNotFound as exc:
            st.info(escape(exc.message))
        else:
            _one(actor, wanted, found)
            return
    _list(wanted, side)


def _list(wanted: Wanted, side: Side) -> None:
    page = calls.read(places.list_all, environment=wanted.where, side=side)
    if not page.complete:
        st.caption(f"Counted from {explorer.FACET_SAMPLE:,} active mounts; there are more.")
    if not page.items:
        st.info("Nothing is mounted.")
        return
    opened = tables.places(page.items, side=side, key=f"mounts.table.{side}s")
    if opened is not None:
        filters.put(side, opened)
        st.rerun()


def _one(actor: Actor, wanted: Wanted, found: PlaceView) -> None:
    side = found.side
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"All {side}s",
            key="mounts.place.back",
            icon=":material/arrow_back:",
            on_click=_back,
            args=(side,),
        )
        st.header(escape(found.name), anchor=False, width="content")
        st.space("stretch")
        if side == "host" and found.name != EMPTY and actor.may(Permission.MOUNTS_WRITE):
            host_dialogs.buttons(found.name)
    _facts(found)
    if side == "host" and found.name != EMPTY:
        _queue(calls.read(places.queue, environment=wanted.where, host=found.name))
    _orphans(found)
    _mounts(actor, wanted, found)
    _operations(actor, wanted, found)


def _back(side: Side) -> None:
    for name in (side, "entry", "operation", "cursor"):
        filters.forget(name)


def _facts(found: PlaceView) -> None:
    others = "target" if found.side == "host" else "host"
    more = "" if found.complete else "more than "
    facts = [f"**{more}{counted(found.mounts, 'active mount')}**"]
    if found.others:
        names = ", ".join(f"{escape(o.name or EMPTY)} ({o.mounts:,})" for o in found.others[:12])
        rest = f" and {len(found.others) - 12} more" if len(found.others) > 12 else ""
        facts.append(f"of {counted(len(found.others), others)}: {names}{rest}")
    st.markdown(" ".join(facts))
    known = []
    if found.longest is not None:
        since = times.relative(found.longest.since)
        known.append(f"held longest by backup job {found.longest.jobid}, {since}")
    if found.side == "host":
        known.append(f"last heard of {times.relative(found.last_seen)}")
    if known:
        st.caption("; ".join(known).capitalize() + ".")
    if found.unknown:
        many = counted(found.unknown, "operation has", "operations have")
        st.warning(f"{many} an unknown outcome.", icon=":material/help:")


def _queue(queue: QueueView) -> None:
    """Whether the host's server is there, and how much waits for it."""
    if queue.problem:
        st.caption(escape(queue.problem))
    elif not queue.exists:
        st.error(f"The queue {escape(queue.name)} does not exist: no DMS server was ever there.")
    elif not queue.consumers:
        waits = counted(queue.depth, "request waits", "requests wait")
        st.error(f"Nobody reads {escape(queue.name)}: the DMS server is down; {waits} in it.")
    elif queue.depth:
        waits = counted(queue.depth, "request waits", "requests wait")
        st.info(f"The DMS server is busy: {waits} in {escape(queue.name)}.")
    else:
        st.caption(f"The DMS server reads {escape(queue.name)}; nothing waits in it.")


def _orphans(found: PlaceView) -> None:
    if not found.orphans:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("**Evidence against mounts**")
        for kind, count in found.orphans.items():
            st.badge(f"{filter_bar.REASONS[kind]}: {count:,}", color="orange")
        st.button(
            "Show these orphans",
            key="mounts.place.orphans",
            type="tertiary",
            on_click=lambda: st.query_params.update({"view": "orphans", found.side: found.name}),
        )


def _of(found: PlaceView) -> dict[str, str]:
    return {found.side: found.name}


def _mounts(actor: Actor, wanted: Wanted, found: PlaceView) -> None:
    st.markdown("**Mounted now**")
    of = Filters(
        found.name if found.side == "host" else "",
        found.name if found.side == "target" else "",
        mounted=True,
        deleted=False,
    )
    cursor = st.query_params.get("cursor", "")
    page = calls.read(explorer.list_mounts, environment=wanted.where, filters=of, cursor=cursor)
    if not page.items:
        st.caption("Nothing, by the ledger.")
        return
    current = st.query_params.get("entry") or None
    entry = tables.mounts(
        page.items,
        current,
        key="mounts.table.place",
        unmount=action_dialogs.ask_to_unmount if actor.may(Permission.MOUNTS_WRITE) else None,
        foot=lambda: filter_bar.pager(page.next_cursor),
    )
    filters.put("entry", entry)
    detail_view.entry(actor, wanted, entry)


def _operations(actor: Actor, wanted: Wanted, found: PlaceView) -> None:
    st.markdown("**Operations**")
    asked: dict[str, Any] = {"environment": wanted.where, **_of(found)}
    page = calls.read(explorer.list_operations, **asked, limit=20)
    if not page.items:
        st.caption("None was made through this client.")
        return
    chosen = tables.operations(
        page.items,
        st.query_params.get("operation", ""),
        key="mounts.table.place.operations",
        everything=lambda: every_page(explorer.list_operations, **asked),
        foot=lambda: _rest(page.next_cursor),
    )
    filters.put("operation", chosen)
    if chosen and not st.query_params.get("entry"):  # one drawer at a time
        detail_view.one_operation(actor, wanted, chosen)


def _rest(following: str | None) -> None:
    if following:
        st.caption("The newest 20; the Operations view, filtered by its name, has them all.")
