"""What the Overview says about mounts, from the last scan of each environment."""

from datetime import datetime

from backend.connections import resolve
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert, Severity
from backend.core.database import ReadSession
from backend.core.words import counted
from backend.mounts import repository
from backend.mounts.schemas import WatchView


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """Old mounts, other orphans, unknown outcomes, and scans that fail."""
    if not actor.may(Permission.MOUNTS_READ):
        return []
    items: list[Alert] = []
    known = resolve.reached(session)
    for watch in repository.list_watches(session):
        # What was found outlives its environment until the next scan.
        if watch.environment_id == 0 or watch.environment_id in known:
            items += _of(watch, known.get(watch.environment_id, ""))
    return items


def _of(watch: WatchView, name: str) -> list[Alert]:
    where = name or "the DMS settings' ledger"
    view = {"environment": name} if name else {}
    found = []

    def item(
        severity: Severity,
        text: str,
        since: datetime | None,
        event: str,
        waiting: tuple[int, str],
        **to: str,
    ) -> None:
        told = text if event != "mounts.unwatched" else where
        found.append(
            Alert(
                severity,
                text,
                "mounts",
                since,
                tuple({**view, **to}.items()),
                event,
                str(watch.environment_id),
                told,
                watch.environment_id,
                count=waiting[0],
                waiting=waiting[1],
            )
        )

    if watch.failing_since is not None:
        text = f"{where}: mounts are not being watched. {watch.problem}"
        item(
            "error", text, watch.failing_since, "mounts.unwatched", (1, "unwatched"), view="orphans"
        )
    if watch.unknown:
        many = counted(watch.unknown, "mount operation has", "mount operations have")
        text = f"{where}: {many} an unknown outcome."
        link = {"view": "operations", "state": "unknown"}
        item(
            "warning", text, watch.scanned_at, "mounts.unknown", (watch.unknown, "unknown"), **link
        )
    if watch.too_old:
        many = counted(watch.too_old, "mount is", "mounts are")
        text = f"{where}: {many} older than {watch.max_age_hours} h."
        link = {"view": "orphans", "reason": "too_old"}
        waiting = (watch.too_old, f"over {watch.max_age_hours} h")
        item("warning", text, watch.scanned_at, "mounts.too_old", waiting, **link)
    others = watch.orphans - watch.too_old
    if others > 0:
        text = f"{where}: {counted(others, 'more mount looks', 'more mounts look')} orphaned."
        item("info", text, watch.scanned_at, "mounts.orphans", (others, "orphaned"), view="orphans")
    return found
