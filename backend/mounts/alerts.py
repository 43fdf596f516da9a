"""What the Overview says about mounts, from the last scan of each environment."""

from collections.abc import Mapping

from backend.connections import resolve
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert, Severity
from backend.core.database import ReadSession
from backend.core.words import counted
from backend.mounts import repository
from backend.mounts.schemas import WatchView

#: The ledger that belongs to no environment.
_NAMELESS = "the DMS settings' ledger"
_SEVERITIES: Mapping[str, Severity] = {
    "mounts.unwatched": "error",
    "mounts.unknown": "warning",
    "mounts.too_old": "warning",
    "mounts.orphans": "info",
}


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
    where = name or _NAMELESS
    found = []
    if watch.failing_since is not None:
        text = f"{where}: mounts are not being watched. {watch.problem}"
        found.append(_alert(watch, name, "mounts.unwatched", text, 1, "unwatched", view="orphans"))
    if watch.unknown:
        many = counted(watch.unknown, "mount operation has", "mount operations have")
        text = f"{where}: {many} an unknown outcome."
        link = {"view": "operations", "state": "unknown"}
        found.append(_alert(watch, name, "mounts.unknown", text, watch.unknown, "unknown", **link))
    if watch.too_old:
        many = counted(watch.too_old, "mount is", "mounts are")
        text, hours = f"{where}: {many} older than {watch.max_age_hours} h.", watch.max_age_hours
        link = {"view": "orphans", "reason": "too_old"}
        found.append(
            _alert(watch, name, "mounts.too_old", text, watch.too_old, f"over {hours} h", **link)
        )
    others = watch.orphans - watch.too_old
    if others > 0:
        more = "more " if watch.too_old else ""
        many = counted(others, f"{more}mount looks", f"{more}mounts look")
        text = f"{where}: {many} orphaned."
        found.append(
            _alert(watch, name, "mounts.orphans", text, others, f"{more}orphaned", view="orphans")
        )
    return found


def _alert(
    watch: WatchView, name: str, event: str, text: str, count: int, waiting: str, **to: str
) -> Alert:
    """event: of _SEVERITIES. to: parameters of the page, beside the environment's."""
    failing = event == "mounts.unwatched"
    return Alert(
        _SEVERITIES[event],
        text,
        "mounts",
        watch.failing_since if failing else watch.scanned_at,
        tuple({**({"environment": name} if name else {}), **to}.items()),
        event,
        str(watch.environment_id),
        # a failing scan says why: not for a message
        (name or _NAMELESS) if failing else text,
        watch.environment_id,
        count=count,
        waiting=waiting,
    )
