"""The Overview's alerts as one table: what is wrong, where, since when, and what can be done."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import streamlit as st

from backend.connections import testing
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.words import counted
from backend.notifications import seen_alerts
from pages.shared import beside, tables
from pages.shell import calls, flash, registry
from pages.shell.errors import escape

_TABLE = "overview.alerts"
_DO, _SEEN = f"{_TABLE}.do", f"{_TABLE}.seen"
_ITEMS, _GO, _TEST = f"{_TABLE}.items", f"{_TABLE}.go", f"{_TABLE}.test"

#: Pages on which somebody looks and then says yes or no.
_DECIDED = ("changes", "user-sync")


def follow() -> None:
    """Do what a row's button asked for just now. Call it before the alerts are read."""
    goal = st.session_state.pop(_GO, None)
    if goal is not None:
        page, query = goal
        st.switch_page(page.path, query_params=query or None)


def tested() -> None:
    """A test that a row's button began: how long it takes, then what came of it."""
    if _TEST not in st.session_state:
        return
    with beside.pressed(_TEST, st.session_state[_TEST].about) as result:
        if result is None:
            return
        if result.ok:
            flash.passing("It works again")
        else:
            flash.error(escape(result.cause))
    st.rerun()  # the alerts above were read before


def draw(actor: Actor, items: Sequence[Alert], seen: Collection[str], *, all_well: bool) -> None:
    """What somebody should act on, the worst first; what this person has seen is folded away.

    all_well: nothing beside it is red; without it an empty list is no good news.
    """
    aside = sum(item.key in seen for item in items)
    with_seen = bool(aside) and st.toggle(
        f"Show {counted(aside, 'alert')} that you have seen", key=f"{_TABLE}.with_seen"
    )
    shown = [item for item in items if with_seen or item.key not in seen]
    if shown:
        _table(actor, shown, seen)
    elif aside:
        st.info("Nothing new: you have seen every alert there is.")
    elif all_well:
        st.success("Nothing needs attention.", icon=":material/check_circle:")
    else:
        st.info("Nothing here is for you to act on; what is red beside it is for others.")


def _table(actor: Actor, items: Sequence[Alert], seen: Collection[str]) -> None:
    st.session_state[_ITEMS] = tuple(items)
    button = st.column_config.ButtonColumn

    def row(item: Alert) -> dict[str, Any]:
        return {
            "Severity": item.severity,
            "What": item.text,
            "Where": _where(item),
            "Since": item.since,
            "Do": _verb(actor, item),
            "Seen": "New again" if item.key in seen else "Seen",
        }

    opened = tables.choose(
        items,
        row,
        id_of=lambda item: item.key,
        current=tables.remembered(_TABLE),
        title="What",
        key=_TABLE,
        alt="Alerts, the worst first, each with what can be done",
        states=("Severity",),
        config={
            "What": st.column_config.TextColumn("What", width="large"),
            "Where": st.column_config.TextColumn("Where", width=150),
            "Do": button("Do", key=_DO, on_click=_pressed, args=(actor, _do), width=80),
            "Seen": button("Seen", key=_SEEN, on_click=_pressed, args=(actor, _mark), width=90),
        },
    )
    chosen = next((item for item in items if item.key == opened), None)
    if chosen is not None:
        _buttons(actor, chosen, row(chosen))


def _buttons(actor: Actor, item: Alert, said: Mapping[str, Any]) -> None:
    """What the chosen row offers, once more: no key presses a button inside a table."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(escape(item.text), width="content")
        if said["Do"]:
            st.button(said["Do"], key=f"{_DO}.chosen", on_click=_do, args=(actor, item))
        st.button(said["Seen"], key=f"{_SEEN}.chosen", on_click=_mark, args=(actor, item))


def _where(item: Alert) -> str:
    page = _page_of(item)
    environment = dict(item.query).get("environment", "")
    if re.search(rf"(?<!\w){re.escape(environment)}(?!\w)", item.text):  # said already
        environment = ""
    return ", ".join(part for part in (page.title if page else "", environment) if part)


def _page_of(item: Alert) -> registry.Page | None:
    return next((page for page in registry.PAGES if item.page and page.url_path == item.page), None)


def _verb(actor: Actor, item: Alert) -> str | None:
    """Only what changes nothing by itself is done from here: a test, and a review of a run."""
    if item.action == "test" and actor.may(Permission.CONNECTIONS_TEST):
        return "Test again"
    if item.action == "retry" and actor.may(Permission.INGESTION_RUN):
        return "Retry"
    if _page_of(item) is None:
        return None
    return "Review" if item.severity == "info" and item.page in _DECIDED else "Open"


def _pressed(actor: Actor, act: Callable[[Actor, Alert], None]) -> None:
    key = _DO if act is _do else _SEEN
    drawn: Sequence[Alert] = st.session_state.get(_ITEMS, ())
    place = st.session_state[key]["row"]
    if place < len(drawn):
        act(actor, drawn[place])


def _do(actor: Actor, item: Alert) -> None:
    page, verb, query = _page_of(item), _verb(actor, item), dict(item.query)
    if verb == "Test again":
        asked = query["environment"], query["kind"]
        run = calls.bound(testing.run, environment=asked[0], kind=asked[1])
        beside.begin(_TEST, asked, run)
    elif page is not None:
        if verb == "Retry":
            query = {"retry": query["run"], "environment": query["environment"]}
        st.session_state[_GO] = page, query


def _mark(_actor: Actor, item: Alert) -> None:
    seen = calls.read(seen_alerts.seen)
    calls.write(seen_alerts.mark, alert=item.key, is_seen=item.key not in seen)
