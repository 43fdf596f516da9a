"""See what is mounted where, find orphans, mount and unmount."""

import streamlit as st

from backend.core.access import Permission
from pages.shell import flash, guard
from pages.widgets import mounts_actions as act
from pages.widgets import mounts_filters, mounts_story, mounts_views

# gate
actor = guard.require(Permission.MOUNTS_READ)
st.title("Mounts")
flash.show()
# ask
wanted = mounts_filters.ask()
if guard.allowed(actor, Permission.MOUNTS_WRITE, "mount and unmount"):
    act.toolbar(wanted)
    act.progress()
# load and present
clicked: int | None = None
if wanted.view == "orphans":
    clicked = mounts_views.found_orphans(actor, wanted)
elif wanted.view == "operations":
    mounts_views.operations(actor, wanted)
else:
    clicked = mounts_views.entries(actor, wanted)
if clicked is not None:
    st.query_params["entry"] = str(clicked)
entry = clicked or wanted.entry
if entry is not None and wanted.view != "operations":
    mounts_story.entry(actor, wanted, entry)
# act
if actor.may(Permission.MOUNTS_WRITE):
    act.dialogs(wanted)
