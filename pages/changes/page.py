"""Look at what waits for a second pair of eyes, decide about it, and set what has to wait."""

import streamlit as st

from backend.changes import service
from backend.core.access import Permission
from pages.changes import change_list, change_view, policy_view, release_view
from pages.shared import filters, rows, tables
from pages.shell import calls, flash, guard, head

VIEWS = {"to_approve": "To approve", "mine": "Mine", "done": "Done", "policy": "Policy"}

# gate
actor = guard.require(Permission.CHANGES_READ)
head.draw("Changes", "What is waiting for a second pair of eyes, and what became of it.")
flash.show()
# ask
number = filters.number("change")
line = st.container(horizontal=True, vertical_alignment="center")
with line:
    view = filters.view(VIEWS, "to_approve", key="changes.view")
if view == "policy":
    policy_view.draw(actor)
    st.stop()
asked = st.query_params.to_dict()
# load
page = calls.read(
    service.list_changes,
    which=view,
    text=asked.get("text", "").strip(),
    cursor=filters.number("cursor"),
    limit=50,
)
# present
if page.items or {"text", "cursor"} & asked.keys():  # where there is nothing, nothing is looked for
    with line:
        st.space("stretch")
        filters.text(
            "Search",
            "text",
            key="changes.text",
            placeholder="person, target",
            label_visibility="collapsed",
            width=260,
        )
if page.items or page.next_cursor is not None:
    if not page.items:
        st.info(tables.SEARCH_ON)
    number = change_list.table(page, number)
    if page.items and view == "to_approve":
        release_view.draw(page.items)
else:
    st.info("No change fits the search." if "text" in asked else change_list.EMPTY[view])
if number is None:
    st.query_params.pop("change", None)
else:
    st.query_params["change"] = str(number)
    with st.container(border=True):
        change_view.draw(number)
        rows.show(number, key="changes.chosen")
