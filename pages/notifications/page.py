"""See what happened, and say where messages about it go."""

from backend.core.access import Permission
from backend.notifications import inbox
from pages.notifications import channel_view, event_list
from pages.shared import filters
from pages.shell import calls, flash, guard, head

# gate
actor = guard.require(Permission.NOTIFICATIONS_READ)
head.draw("Notifications", "What happened, and where messages about it go.")
flash.show()
# ask
views = {"inbox": "Inbox", "mine": "My channels"}
if actor.may(Permission.NOTIFICATIONS_WRITE):
    views |= {"channels": "Channels", "deliveries": "Deliveries"}
view = filters.view(views, "inbox", key="notifications.view")
cursor = filters.number("cursor")
# load and present
if view in ("mine", "channels"):
    channel_view.draw(actor, personal=view == "mine")
elif view == "deliveries":
    sent = calls.read(inbox.deliveries, cursor=cursor)
    event_list.deliveries(sent)
else:
    found = calls.read(inbox.inbox, cursor=cursor)
    event_list.inbox(found)
