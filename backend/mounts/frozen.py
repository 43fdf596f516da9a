"""What the ledger decides about an operation, as a change request freezes it.

The same request does something else when these have moved: an unmount that releases one entry
becomes one that takes the last job's mount away. So an approval is of these, too.
"""

from typing import Literal

from backend.core.errors import PortalError
from backend.core.words import counted
from backend.dms.errors import DMSClientException
from backend.mounts import ledger_repository, settings
from backend.mounts.settings import DmsSettings

_UNKNOWN = "unknown, the ledger did not answer"


def of(
    where: DmsSettings,
    kind: Literal["mount", "unmount", "recheck", "verify", "delete"],
    *,
    job: int,
    target: str,
    host: str = "",
) -> dict[str, str]:
    """For people, by what it is about; {} where the request alone says what is done."""
    name = {"unmount": "physical unmount", "verify": "ledger says", "delete": "entries"}.get(kind)
    if name is None:
        return {}
    try:
        ledger = settings.open_ledger(where)
        if kind == "unmount":
            held = ledger_repository.holders(ledger, target, host)
            return {name: sends(len([entry for entry in held if entry.jobid != job]))}
        found = ledger_repository.of_job(ledger, job, target)
    except (PortalError, DMSClientException):  # the operation itself says what is wrong with it
        return {name: _UNKNOWN}
    if kind == "verify":
        mounted = any(entry.mounted for entry in found if entry.host == host)
        return {name: "mounted" if mounted else "not mounted"}
    hosts = sorted(entry.host for entry in found if not entry.deleted)
    return {name: f"{counted(len(hosts), 'entry', 'entries')}: {', '.join(hosts)}"[:500]}


def sends(others: int) -> str:
    """Whether a physical unmount is sent while so many other jobs hold the mount."""
    return "none will be sent, other jobs hold it" if others else "one will be sent"
