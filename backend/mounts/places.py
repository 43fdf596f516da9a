"""A host or a target as a whole: what is mounted there, for whom, since when, what speaks against
it. Its entries, operations and orphans are the explorer's lists, filtered by its name."""

from collections import Counter
from datetime import datetime

from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession
from backend.core.errors import InvalidInput
from backend.dms.ledger import Ledger
from backend.dms.transport import queue_of
from backend.mounts import ledger_repository, orphans, paging, repository, settings
from backend.mounts.errors import MountNotFound
from backend.mounts.explorer import ACTIVE, FACET_SAMPLE
from backend.mounts.place_schemas import Held, PlacePage, PlaceRow, PlaceView, QueueView, Side
from backend.mounts.schemas import EMPTY, Filters
from backend.mounts.settings import DmsSettings

#: Names one list has; of more, those with the most mounts.
MOST = 500
MOST_UNKNOWN = 100


def list_all(
    session: ReadSession, actor: Actor, *, environment: str | None = None, side: Side
) -> PlacePage:
    """Hosts or targets with active mounts, those with the most first."""
    access.require(actor, Permission.MOUNTS_READ)
    where = settings.find(session, environment)
    found, seen = ledger_repository.groups(settings.open_ledger(where), ACTIVE, FACET_SAMPLE)
    mounts, others = Counter[str](), Counter[str]()
    for host, target, count in found:
        if count:
            mounts[host if side == "host" else target] += count
            others[host if side == "host" else target] += 1
    lost = repository.count_orphans(session, where.environment_id, side)
    items = tuple(
        PlaceRow(name=name, mounts=count, others=others[name], orphans=lost.get(name, 0))
        for name, count in mounts.most_common(MOST)
    )
    return PlacePage(items=items, complete=seen < FACET_SAMPLE and len(mounts) <= MOST)


def show(
    session: ReadSession, actor: Actor, *, environment: str | None = None, side: Side, name: str
) -> PlaceView:
    """The host or target of that very name. The queue of a host is `queue`'s to ask.

    Raises MountNotFound when the ledger has no entry of it, InvalidInput without a name.
    """
    access.require(actor, Permission.MOUNTS_READ)
    if not name:
        raise InvalidInput(f"Name the {side}; an empty one is called {EMPTY}.")
    where = settings.find(session, environment)
    ledger = settings.open_ledger(where)
    if not ledger_repository.is_named(ledger, side, name):
        raise MountNotFound(f"the {side} {name}")
    host, target = (name, "") if side == "host" else ("", name)
    active = Filters(host, target, mounted=True, deleted=False)
    found, seen = ledger_repository.groups(ledger, active, FACET_SAMPLE)
    held = Counter[str]()
    for on, of, count in found:
        if count:
            held[of if side == "host" else on] += count
    longest, _next, _sort = paging.page(ledger, active, "oldest", "", 1)
    unknown = ledger_repository.operations(
        ledger, host=host, target=target, status="unknown", limit=MOST_UNKNOWN
    )
    return PlaceView(
        side=side,
        name=name,
        mounts=held.total(),
        others=tuple(Held(name=n, mounts=count) for n, count in held.most_common(MOST)),
        complete=seen < FACET_SAMPLE,
        longest=longest[0] if longest else None,
        last_seen=_last_seen(ledger, name) if side == "host" else None,
        unknown=len(unknown),
        orphans=repository.count_reasons(session, where.environment_id, side=side, name=name),
        queue=None,
    )


def queue(
    session: ReadSession, actor: Actor, *, environment: str | None = None, host: str
) -> QueueView:
    """The host's queue, asked of the broker now; may take as long as connecting to it."""
    access.require(actor, Permission.MOUNTS_READ)
    return queue_view(settings.find(session, environment), host)


def queue_view(where: DmsSettings, host: str) -> QueueView:
    states, problem = orphans.check_queues(where, [host])
    state = states.get(host)
    if state is None:
        return QueueView(name=queue_of(host), problem=problem or "The queue was not looked at.")
    return QueueView(
        name=queue_of(host), exists=state.exists, consumers=state.consumers, depth=state.depth
    )


def with_queue(
    session: ReadSession, actor: Actor, *, environment: str | None = None, side: Side, name: str
) -> PlaceView:
    """`show`, and for a host `queue` as well."""
    found = show(session, actor, environment=environment, side=side, name=name)
    if side == "target" or name == EMPTY:
        return found
    asked = queue(session, actor, environment=environment, host=name)
    return found.model_copy(update={"queue": asked})


def _last_seen(ledger: Ledger, name: str) -> datetime | None:
    return ledger_repository.last_seen(ledger, "" if name == EMPTY else name)
