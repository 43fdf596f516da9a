"""The SQL of settings and ignored differences."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime

from sqlalchemy import delete, select, tuple_

from backend.core import clock
from backend.core.access import Actor
from backend.core.database import Database, ReadSession, Turns, WriteSession
from backend.core.views import Page, of_row
from backend.models import SyncIgnore, SyncSettings
from backend.user_sync.comparing import Ignores
from backend.user_sync.schemas import IgnoreView, Settings, SettingsView

_TOGETHER = 200
#: Beside the settings in their document: in whose name the schedule applies.
_SET_BY = "set_by"


def settings_view(session: ReadSession, environment_id: int, environment: str) -> SettingsView:
    """Stored settings over the defaults."""
    row = session.get(SyncSettings, environment_id)
    if row is None:
        return SettingsView(environment, Settings(), None, None, None, None, "")
    known = {field.name for field in fields(Settings)}
    options = {key: value for key, value in row.options.items() if key in known}
    return of_row(SettingsView, row, environment=environment, settings=Settings(**options))


def save_settings(
    session: WriteSession,
    environment_id: int,
    settings: Settings,
    *,
    next_plan_at: datetime | None,
    by: Actor,
) -> None:
    name = by.name[:255]
    row = _row(session, environment_id, name)
    row.options = {**asdict(settings), _SET_BY: [by.kind, by.id, name]}
    row.next_plan_at = next_plan_at
    row.updated_at, row.updated_by = clock.now(), name


def set_by(session: ReadSession, environment_id: int) -> tuple[str, int, str] | None:
    """(kind, id, name) of who saved the settings last; None for those of an older release."""
    row = session.get(SyncSettings, environment_id)
    found = row.options.get(_SET_BY) if row is not None else None
    return (str(found[0]), int(found[1]), str(found[2])) if found else None


def record_good_answer(session: WriteSession, environment_id: int, count: int) -> None:
    """Remember how many people a good directory answer had."""
    row = _row(session, environment_id, "system")
    row.last_good_count, row.last_good_at = count, clock.now()


def due(session: ReadSession, now: datetime) -> list[int]:
    """Environments whose scheduled planning is due."""
    query = select(SyncSettings.environment_id).where(SyncSettings.next_plan_at <= now)
    return list(session.scalars(query))


def set_next(session: WriteSession, environment_id: int, when: datetime | None) -> None:
    row = session.get(SyncSettings, environment_id, with_for_update=True)
    if row is not None:
        row.next_plan_at = when


def _row(session: WriteSession, environment_id: int, by: str) -> SyncSettings:
    row = session.get(SyncSettings, environment_id, with_for_update=True)
    if row is None:
        row = SyncSettings(
            environment_id=environment_id, options={}, updated_at=clock.now(), updated_by=by
        )
        session.add(row)
    return row


def ignores(session: ReadSession, environment_id: int) -> Ignores:
    """What the matcher needs of the ignored differences: all of them, or one would be written."""
    i = SyncIgnore
    query = select(i.user_id, i.field, i.digest, i.author, i.reason)
    rows = session.execute(query.where(i.environment_id == environment_id))
    return {
        (user_id, field): (digest, f"{author}: {reason}")
        for user_id, field, digest, author, reason in rows
    }


def drop_outdated(
    database: Database, environment_id: int, outdated: Sequence[tuple[str, str, str]]
) -> None:
    """Forget ignores whose difference has changed, or they would count again when it is back.

    outdated: (user id, field, digest); one that was decided anew meanwhile has another digest.
    """
    turns = Turns(database)
    for start in range(0, len(outdated), _TOGETHER):
        with turns.write() as session:
            session.execute(
                delete(SyncIgnore).where(
                    SyncIgnore.environment_id == environment_id,
                    tuple_(SyncIgnore.user_id, SyncIgnore.field, SyncIgnore.digest).in_(
                        outdated[start : start + _TOGETHER]
                    ),
                )
            )


def list_ignores(
    session: ReadSession, environment_id: int, *, limit: int, before: int | None
) -> Page[IgnoreView]:
    """Newest first."""
    query = select(SyncIgnore).where(SyncIgnore.environment_id == environment_id)
    if before is not None:
        query = query.where(SyncIgnore.id < before)
    rows = session.scalars(query.order_by(SyncIgnore.id.desc()).limit(limit + 1))
    return Page[IgnoreView].newest([of_row(IgnoreView, row) for row in rows], limit)


def put_ignore(session: WriteSession, row: SyncIgnore) -> None:
    """Keep one per user and field: a newer decision replaces the older one."""
    known = session.scalars(
        select(SyncIgnore).where(
            SyncIgnore.environment_id == row.environment_id,
            SyncIgnore.user_id == row.user_id,
            SyncIgnore.field == row.field,
        )
    ).one_or_none()
    if known is not None:
        session.delete(known)
        session.flush()
    session.add(row)
