"""SQL of the list of datasets: their newest runs, and whose favourites they are."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, select

from backend.core import newest
from backend.core.database import ReadSession, WriteSession
from backend.models.ingestion import IngestionFavourite, IngestionRun

#: Runs read at once where a list goes back in time.
_STEP = 500


def last_of_each(
    session: ReadSession, environment_id: int, *, limit: int, named: Collection[str] = ()
) -> tuple[dict[str, IngestionRun], bool]:
    """The newest run of each dataset, of those that were run last and of `named`; and whether
    there are more."""
    here = IngestionRun.environment_id == environment_id
    last = newest.last_of_each(session, IngestionRun.id, IngestionRun.dataset_urn, here)
    ids = sorted(last, reverse=True)[:limit]
    cut = len(last) > limit
    if cut:
        ids += _last_of(session, here, named)
    found: dict[str, IngestionRun] = {}
    for start in range(0, len(ids), _STEP):
        chosen = ids[start : start + _STEP]
        for row in session.scalars(select(IngestionRun).where(IngestionRun.id.in_(chosen))):
            if row.dataset_urn:  # "" stands for the runs of a job
                found[row.dataset_urn] = row
    return found, cut


def _last_of(session: ReadSession, here: ColumnElement[bool], urns: Collection[str]) -> list[int]:
    """The newest run's key of each of these datasets that was run."""
    ordered, found = sorted(urns), list[int]()
    for start in range(0, len(ordered), _STEP):
        of_these = IngestionRun.dataset_urn.in_(ordered[start : start + _STEP])
        query = select(func.max(IngestionRun.id)).where(here, of_these)
        found += session.scalars(query.group_by(IngestionRun.dataset_urn))
    return found


def trends(
    session: ReadSession, environment_id: int, *, since: datetime, limit: int
) -> Sequence[Row[Any]]:
    """(dataset_urn, created_at, started_at, finished_at) of runs since an instant, newest first."""
    return session.execute(
        select(
            IngestionRun.dataset_urn,
            IngestionRun.created_at,
            IngestionRun.started_at,
            IngestionRun.finished_at,
        )
        # Not by the index of the environment, which holds all of its years.
        .where(IngestionRun.environment_id + 0 == environment_id, IngestionRun.created_at >= since)
        .order_by(IngestionRun.created_at.desc())
        .limit(limit)
    ).all()


def favourites(session: ReadSession, owner: str, environment_id: int) -> set[str]:
    """The dataset URNs that an owner wants first."""
    query = select(IngestionFavourite.dataset_urn).where(
        IngestionFavourite.owner == owner, IngestionFavourite.environment_id == environment_id
    )
    return set(session.scalars(query))


def put_favourite(
    session: WriteSession, owner: str, environment_id: int, dataset_urn: str, *, on: bool
) -> None:
    key = {"owner": owner, "environment_id": environment_id, "dataset_urn": dataset_urn}
    if on:
        session.merge(IngestionFavourite(**key))
    else:
        session.execute(delete(IngestionFavourite).filter_by(**key))
