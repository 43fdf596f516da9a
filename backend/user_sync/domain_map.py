"""What the directory says for a domain, and which domain is meant: a table with its own history."""

from collections.abc import Mapping

from sqlalchemy import Select, select

from backend.connections import resolve
from backend.core import access, audit, choices, clock
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotFound
from backend.core.views import Page, of_row
from backend.models import SyncDomainMap
from backend.user_sync import validation
from backend.user_sync.domain_names import folded
from backend.user_sync.schemas import DomainMapView


def mapping(session: ReadSession, environment_id: int) -> Mapping[str, str]:
    """What the matcher needs: said (folded) → full name of a domain."""
    return {folded(row.said): row.domain for row in session.scalars(_current(environment_id))}


def list_domain_map(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    history: bool = False,
    limit: int = 200,
    before: int | None = None,
) -> Page[DomainMapView]:
    """What is mapped now, or with `history` everything that ever was, newest first, at most 1,000
    a page."""
    access.require(actor, Permission.USER_SYNC_READ)
    choices.check_limit(limit, validation.MAX_PAGE)
    found = resolve.environment(session, environment)
    query = _every(found.id) if history else _current(found.id)
    if before is not None:
        query = query.where(SyncDomainMap.id < before)
    rows = session.scalars(query.order_by(SyncDomainMap.id.desc()).limit(limit + 1))
    return Page[DomainMapView].newest([_view(row) for row in rows], limit)


def map_domain(
    session: WriteSession, actor: Actor, *, environment: str | None = None, said: str, domain: str
) -> DomainMapView:
    """From the next plan on, read `said` as the domain of this full name; ends the mapping of
    `said` before it. Raises InvalidInput for blanks."""
    access.require(actor, Permission.USER_SYNC_PLAN)
    found = resolve.environment(session, environment)
    said, domain = said.strip(), domain.strip()
    if not said or not domain or len(said) > 256:
        raise InvalidInput("Name what the directory says, and the full name of a domain.")
    for known in session.scalars(_current(found.id)).all():
        if folded(known.said) == folded(said):
            if known.domain == domain:
                return _view(known)
            _end(known, actor)
    row = SyncDomainMap(
        environment_id=found.id,
        said=said,
        domain=domain,
        created_at=clock.now(),
        created_by=actor.name[:255],
    )
    session.add(row)
    _record(session, actor, found.name, said, domain)
    session.flush()
    return _view(row)


def unmap_domain(session: WriteSession, actor: Actor, *, map_id: int) -> DomainMapView:
    """End a mapping; its row stays as history. Raises NotFound."""
    access.require(actor, Permission.USER_SYNC_PLAN)
    row = session.get(SyncDomainMap, map_id, with_for_update=True)
    if row is None or row.ended_at is not None:
        raise NotFound("There is no such mapping any more.")
    resolve.require_reach(session, row.environment_id)
    _end(row, actor)
    _record(session, actor, str(row.environment_id), row.said, "")
    session.flush()
    return _view(row)


def _end(row: SyncDomainMap, actor: Actor) -> None:
    row.ended_at, row.ended_by = clock.now(), actor.name[:255]


def _record(session: WriteSession, actor: Actor, where: str, said: str, domain: str) -> None:
    audit.record(
        session,
        actor,
        "user_sync:domain:map",
        subject=f"{said} on {where}",
        details={"domain": domain},
    )


def _every(environment_id: int) -> Select[tuple[SyncDomainMap]]:
    return select(SyncDomainMap).where(SyncDomainMap.environment_id == environment_id)


def _current(environment_id: int) -> Select[tuple[SyncDomainMap]]:
    return _every(environment_id).where(SyncDomainMap.ended_at.is_(None))


def _view(row: SyncDomainMap) -> DomainMapView:
    return of_row(DomainMapView, row, ended_by=row.ended_by or "")
