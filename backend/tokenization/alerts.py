"""What of tokenization needs somebody's attention, for the Overview page."""

from collections.abc import Collection
from datetime import timedelta

from backend.connections import environments, resolve
from backend.core import clock
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession
from backend.core.words import counted
from backend.tokenization import comparison, repository
from backend.tokenization.schemas import RunState

PAGE = "tokenization"
_RECENT = timedelta(days=7)
_LOOKED_AT = 1_000


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """Runs whose end is unknown, failed last runs, proofs and tags that are stuck.

    Only of environments that still exist: nobody can do anything about the others.
    """
    if not actor.may(Permission.TOKENIZATION_READ):
        return []
    known = resolve.reached(session)
    return [
        *_unknown(session, known),
        *_failed(session, known),
        *_unwritten(session, known),
        *_unanswered(session, known),
        *_differences(session),
    ]


def _unknown(session: ReadSession, known: Collection[int]) -> list[Alert]:
    return [
        Alert(
            "error",
            f"Tokenization run {row.id} of {row.source_table}: whether the database committed it "
            "is not known yet.",
            PAGE,
            row.started_at,
            (("view", "runs"), ("run", str(row.id))),
            "tokenization.unknown",
            str(row.id),
            f"Tokenization run {row.id}",
            row.environment_id,
            waiting="unknown",
        )
        for row in repository.list_active(session)
        if row.state == RunState.UNKNOWN and row.environment_id in known
    ]


def _failed(session: ReadSession, known: Collection[int]) -> list[Alert]:
    since, bad = clock.now() - _RECENT, (RunState.FAILED, RunState.INTERRUPTED)
    return [
        Alert(
            "warning",
            f"The last tokenization of {row.source_table} ended as {row.state} (run {row.id}).",
            PAGE,
            row.finished_at,
            (("view", "runs"), ("run", str(row.id))),
            waiting="failed",
        )
        for row in repository.last_ended(session, bad, since=since, limit=_LOOKED_AT)
        if row.environment_id in known
    ]


def _unwritten(session: ReadSession, known: Collection[int]) -> list[Alert]:
    rows = repository.list_unwritten(session, most_attempts=1_000_000, limit=_LOOKED_AT)
    stuck = [row for row in rows if row.write_back_attempts > 0 and row.environment_id in known]
    if not stuck:
        return []
    count = f"{len(stuck)} tokenization runs are" if len(stuck) > 1 else "A tokenization run is"
    return [
        Alert(
            "warning",
            f"{count} not recorded in DataHub yet; the last try failed.",
            PAGE,
            stuck[0].write_back_at,
            (("view", "runs"), ("run", str(stuck[0].id))),
            count=len(stuck),
            waiting="unrecorded",
        )
    ]


def _differences(session: ReadSession) -> list[Alert]:
    """Environments whose newest comparison found what nothing has mended."""
    found = []
    for each in environments.list_all(session, SYSTEM):
        newest = comparison.latest_of(session, each.name)
        if newest is None or not newest.open:
            continue
        found.append(
            Alert(
                "warning",
                f"DataHub and the tables of {each.name} disagree in "
                f"{counted(len(newest.open), 'place')}: {newest.open[0]['finding']}.",
                PAGE,
                newest.finished_at,
                (("view", "check"), ("environment", each.name)),
                count=len(newest.open),
                waiting="to repair",
            )
        )
    return found


def _unanswered(session: ReadSession, known: Collection[int]) -> list[Alert]:
    return [
        Alert(
            "warning",
            f"The tag tokenize/run on {row.dataset} cannot be answered: {row.note}",
            PAGE,
            row.seen_at,
            (("dataset", row.dataset),),
            waiting="unanswered",
        )
        for row in repository.list_noted_tags(session, limit=_LOOKED_AT)
        if row.environment_id in known
    ]
