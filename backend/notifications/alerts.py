"""Channels that cannot be reached, for the Overview page. No event: it would have no way out."""

from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession
from backend.notifications import channels


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """For those who can mend them: admins."""
    if not actor.may(Permission.NOTIFICATIONS_WRITE):
        return []
    return [
        Alert(
            "warning",
            f"Notifications do not reach the channel {each.name}: {each.problem}",
            "notifications",
            None,
            (("view", "channels"),),
        )
        for each in channels.list_channels(session, actor)
        if each.problem and each.enabled
    ]
