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
if wanted.view == "operations":
    mounts_views.operations(actor, wanted)
else:
    show = mounts_views.found_orphans if wanted.view == "orphans" else mounts_views.entries
    entry = show(actor, wanted)
    mounts_filters.put("entry", str(entry or ""))
    mounts_story.entry(actor, wanted, entry)
# act
if actor.may(Permission.MOUNTS_WRITE):
    act.dialogs(wanted)
