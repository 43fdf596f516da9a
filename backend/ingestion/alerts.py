"""What of ingestion needs somebody's attention, for the Overview page."""

from datetime import datetime, timedelta

from backend.connections import resolve
from backend.core import clock
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession
from backend.ingestion import repository
from backend.ingestion.dispatch import SENDING_SECONDS
from backend.ingestion.reports import ALERT_TRIES
from backend.integrations.datahub import urns

PAGE = "ingestion"
_RECENT = timedelta(days=7)
_MOST = 500


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """Datasets whose newest run of the last 7 days failed or ended unknown; AWS is not named."""
    if not actor.may(Permission.INGESTION_READ):
        return []
    now = clock.now()
    since, sending = now - _RECENT, now - timedelta(seconds=SENDING_SECONDS)
    known = resolve.reached(session)
    found: list[Alert] = []
    for row in repository.last_in(
        session, ("failed", "unknown"), since=since, sending_since=sending, limit=_MOST
    ):
        if row.environment_id not in known:
            continue
        urn = row.dataset_urn or row.job_urn or ""
        named = urns.parse_dataset(row.dataset_urn).name if row.dataset_urn else urn
        ended = "failed" if row.status == "failed" else "has an unknown outcome"
        found.append(
            Alert(
                "warning",
                f"The last ingestion of {named} in {known[row.environment_id]} {ended}.",
                PAGE,
                row.created_at,
                (
                    ("view", "runs"),
                    ("run", row.run_id),
                    ("environment", known[row.environment_id]),
                ),
                "ingestion.failed",
                f"{row.environment_id}:{urn}",
                f"Run {row.run_id} of {known[row.environment_id]}",
                row.environment_id,
                action="retry" if row.status == "failed" else "open",
                waiting=row.status,
            )
        )
    return found + _unreported(session, known, since) + _not_started(session, known)


def _unreported(session: ReadSession, known: dict[int, str], since: datetime) -> list[Alert]:
    """One alert for each environment whose DataHub could not be told how runs ended."""
    found: dict[int, Alert] = {}
    for row in repository.unreported(session, since=since, tries=ALERT_TRIES, limit=_MOST):
        if row.environment_id in known and row.environment_id not in found:
            environment = known[row.environment_id]
            found[row.environment_id] = Alert(
                "warning",
                f"DataHub of {environment} could not be told of run {row.run_id}.",
                PAGE,
                row.created_at,
                (("view", "runs"), ("run", row.run_id), ("environment", environment)),
                waiting="unreported",
            )
    return list(found.values())


def _not_started(session: ReadSession, known: dict[int, str]) -> list[Alert]:
    """Schedules whose last start made no job."""
    return [
        Alert(
            "warning",
            f"The schedule of {row.title} in {known[row.environment_id]}: {row.last_problem}",
            PAGE,
            row.last_at,
            (("view", "datahub"), ("environment", known[row.environment_id])),
            waiting="not started",
        )
        for row in repository.troubled_schedules(session, limit=_MOST)
        if row.environment_id in known
    ]
