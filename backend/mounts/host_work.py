"""Work on every mount of a host: how it ended is in the audit log, however it ended."""

import contextlib
from collections.abc import Iterator
from typing import Any

from backend.core import audit
from backend.core.access import Actor
from backend.core.database import Database
from backend.core.errors import PortalError
from backend.mounts import explorer


@contextlib.contextmanager
def audited(database: Database, actor: Actor, action: str, host: str) -> Iterator[dict[str, Any]]:
    """While the block runs it fills the details; at its end they are the outcome's row.

    An error, or a stop between two entries, is the outcome "failed" with its sentence.
    """
    details: dict[str, Any] = {}
    error = ""
    try:
        yield details
    except PortalError as exc:
        error = exc.message
        raise
    except BaseException:
        error = "it was stopped"
        raise
    finally:
        explorer.forget_counts()
        with database.write() as session:
            audit.record(
                session,
                actor,
                action,
                subject=host,
                phase="outcome",
                outcome="failed" if error else "succeeded",
                details={**details, "error": error},
            )
