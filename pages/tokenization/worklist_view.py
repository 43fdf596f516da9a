"""The page's first list: datasets by what they need, each with its next step as a button, which for
the keyboard is a chosen row."""

from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.words import named
from backend.tokenization import worklist
from backend.tokenization.worklist import Tagged, WorkItem, WorkList
from pages.shared import beside, filters, tables
from pages.shell import calls
from pages.shell.errors import escape
from pages.tokenization import pick_dialog, preview_view

PAGE = 50
_TABLE = "tokenization.work"
_BUTTON = "tokenization.work.do"
_TAGGED = "tokenization.work.tagged"
_ITEMS = "tokenization.work.items"
_UNKNOWN = "DataHub has not said yet which datasets carry a tag."
_LABELS = {
    "open": "To do",
    "tagged": "Tagged",
    "waiting": "Waiting",
    "running": "Running",
    "drifted": "Drifted",
    "failed": "Failed",
    "done": "Done",
}
#: What opens a run instead of a preview.
_OPENS = ("running", "failed", "done")


def draw(actor: Actor, environment: str) -> None:
    """Filters in one line, then the list; its button opens the preview, or the run."""
    # While no dataset is open, the button that picks one says its key, too.
    shares = [6.9, 3, 1.7, 0.6] if st.query_params.get("dataset") else [6, 2.4, 2.6, 0.6]
    left, search, pick, again = st.columns(shares, vertical_alignment="center")
    with search:
        text = filters.text(
            "Table or column",
            "text",
            key="tokenization.work.text",
            placeholder="table or column",
            label_visibility="collapsed",
        )
    if actor.may(Permission.TOKENIZATION_PREVIEW):
        pick_dialog.button(pick, environment)
    tagged = calls.bound(worklist.tagged, environment=environment)
    again.button(
        "",
        key="tokenization.refresh",
        icon=":material/refresh:",
        help="Ask DataHub for its tags again",
        on_click=beside.begin,
        args=(_TAGGED, environment, tagged),
    )
    asked = beside.ask(_TAGGED, environment, tagged)  # once per visit, not at every rerun
    found = calls.read(
        worklist.work_list,
        environment=environment,
        tagged=Tagged(note=_UNKNOWN) if asked is None else asked.result(),
        text=text,
        only=_only(),
        limit=PAGE,
        cursor=filters.number("from") or 0,
    )
    with left:
        filters.pills(
            "Show",
            "only",
            {name: f"{label} {found.counts[name]:,}" for name, label in _LABELS.items()},
            "open",
            key="tokenization.work.only",
            help="By what a dataset needs",
        )
    if found.note:
        st.caption(escape(found.note))
    _list(actor, found)


def forget() -> None:
    """A run has started: DataHub's tags are about to change."""
    beside.forget(_TAGGED)


def _nothing(found: WorkList) -> str:
    """Why the list is empty, and how it fills."""
    searched = st.query_params.get("text") or _only() != "open"
    if found.counts["all"] and searched:
        return "No dataset fits these filters."
    if found.note:  # DataHub is not there or does not answer, so no tag of it helps
        return "Nothing is waiting or running. Pick a table."
    return (
        "Nothing is tagged, waiting or running. Put the tag tokenize/run on a dataset in DataHub, "
        "or pick a table."
    )


def _list(actor: Actor, found: WorkList) -> None:
    if not found.items:
        st.info(_nothing(found))
        return
    st.session_state[_ITEMS] = found.items
    config: dict[str, Any] = {
        "Plain rows": st.column_config.NumberColumn(format="localized"),
        "Why": st.column_config.TextColumn(width="medium"),
    }
    look = tables.Look(
        title="Table",
        states=("State",),
        optional=("Plain rows", "Why", "Since"),
        config=config,
        foot=lambda: filters.pages(found.next_cursor, parameter="from", key="tokenization.work"),
    )
    alt = "Datasets by what they need"
    if actor.may(Permission.TOKENIZATION_PREVIEW):
        config["Do"] = st.column_config.ButtonColumn("Do", key=_BUTTON, on_click=_pressed)
        current = st.query_params.get("dataset") or None
        chosen = tables.choose(
            found.items,
            lambda item: _row(item) | {"Do": _verb(item)},
            id_of=lambda item: item.dataset,
            current=current,
            key=_TABLE,
            alt=alt,
            **look,
        )
        if chosen != current:
            _turn_to(next((item for item in found.items if item.dataset == chosen), None))
            st.rerun()
    else:
        tables.show(found.items, _row, key=_TABLE, alt=alt, **look)


def _row(item: WorkItem) -> dict[str, Any]:
    many = len(item.columns)
    return {
        "State": item.status,
        "Table": item.table,
        "Likely columns": f"{many} · {named(item.columns)}" if many else "",
        "Plain rows": item.rows_plain,
        "Why": item.reason,
        "Since": item.since,
    }


def _verb(item: WorkItem) -> str:
    return "Open" if item.status in _OPENS and item.run_id else "Preview"


def _pressed() -> None:
    place = st.session_state[_BUTTON]["row"]
    items: list[WorkItem] = st.session_state.get(_ITEMS, [])
    if place < len(items):
        _turn_to(items[place])


def _turn_to(item: WorkItem | None) -> None:
    """Its preview, or its run; None: what was open is closed."""
    if item is not None and _verb(item) == "Open":
        st.query_params.update({"view": "runs", "run": str(item.run_id)})
        return
    preview_view.forget()
    filters.put("dataset", item and item.dataset)


def _only() -> str:
    return filters.one_of("only", _LABELS, "open")
