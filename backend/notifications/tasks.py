"""Background work of notifications."""

from datetime import timedelta
from typing import Any

from backend.core.database import Database
from backend.jobs.registry import FAILED, JobContext, job
from backend.jobs.schedule import every
from backend.notifications import delivery, dispatch, repository

KEEP = timedelta(days=90)


@every("notifications.watch", seconds=30)
def watch(database: Database) -> None:
    dispatch.watch(database)


@every("notifications.dispatch", seconds=5)
def send(database: Database) -> None:
    dispatch.fan_out(database)
    dispatch.queue(database)


@every("notifications.forget", hours=6)
def forget(database: Database) -> None:
    database.change(repository.forget, KEEP)


@job(dispatch.KIND, title="Send notifications", resumable=True, told=False)
def deliver(ctx: JobContext, *, channel_id: int) -> dict[str, Any]:
    """Fails when a message was not taken; the channel tries again by itself."""
    sent, error = delivery.deliver(ctx.database, channel_id)
    return {"sent": sent, **({FAILED: error} if error else {})}
