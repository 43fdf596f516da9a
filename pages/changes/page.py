"""Look at what waits for a second pair of eyes, decide about it, and set what has to wait."""

import streamlit as st

from backend.changes import service
from backend.core.access import Permission
from pages.changes import change_list, change_view, policy_view, release_view
from pages.shared import filters, rows
from pages.shell import calls, flash, guard, head

VIEWS = {"to_approve": "To approve", "mine": "Mine", "done": "Done", "policy": "Policy"}

# gate
actor = guard.require(Permission.CHANGES_READ)
head.draw("Changes", "What waits for a second pair of eyes, and what became of it.")
flash.show()
# ask
number = filters.number("change")
view = filters.view(VIEWS, "to_approve", key="changes.view")
if view == "policy":
    policy_view.draw(actor)
    st.stop()
text = filters.text("Search", "text", key="changes.text", placeholder="person, target")
# load
page = calls.read(
    service.list_changes, which=view, text=text, cursor=filters.number("cursor"), limit=50
)
# present
if page.items or page.next_cursor is not None:
    number = change_list.table(page, number)
    filters.pages(page.next_cursor, parameter="cursor", key="changes.pages")
    if page.items and view == "to_approve":
        release_view.draw(page.items)
else:
    st.info(change_list.EMPTY[view])
if number is None:
    st.query_params.pop("change", None)
else:
    st.query_params["change"] = str(number)
    with st.container(border=True):
        change_view.draw(number)
        rows.show(number, key="changes.chosen")
