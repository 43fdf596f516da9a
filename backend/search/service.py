"""Search over the portal's own database: no system outside is asked, and nobody finds what their
role may not read. Each kind gives a few hits, from its newest rows."""

from collections.abc import Callable, Iterator

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from backend.connections import environments
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession
from backend.models.accounts import Account
from backend.models.changes import Change
from backend.models.connections import Connection
from backend.models.ingestion import IngestionRule, IngestionRun
from backend.models.jobs import Job
from backend.models.mounts import MountOrphan, MountTarget
from backend.models.tokenization import TokenizationRun
from backend.models.user_sync import SyncPlan, SyncRow
from backend.search.schemas import Hit, Hits

#: Hits of one kind; letters that are too few to look for; rows of a growing table looked through.
MOST, SHORTEST, NEWEST = 5, 2, 20_000
MAX_TEXT = 200

Names = dict[int, str]


def find(session: ReadSession, actor: Actor, *, text: str) -> Hits:
    """Everything whose name holds `text`, or whose number it is; [] for a single letter."""
    access.require(actor, Permission.OVERVIEW_READ)
    text = text.strip()[:MAX_TEXT]
    if len(text) < SHORTEST and not text.isdecimal():
        return Hits(items=[])
    may_see = {view.id: view.name for view in environments.list_all(session, actor)}
    return Hits(
        items=[
            hit
            for permission, source in _SOURCES
            if actor.may(permission)
            for hit in source(session, text, may_see)
        ]
    )


def _connections(session: ReadSession, text: str, names: Names) -> Iterator[Hit]:
    rows = session.scalars(select(Connection).where(Connection.environment_id.in_(names)))
    found = (
        (row, where)
        for row in rows
        for where in [_holding(text, names[row.environment_id], row.kind, *row.settings.values())]
        if where
    )
    for row, where in list(found)[:MOST]:
        name = names[row.environment_id]
        detail = where if where not in (name, row.kind) else ""
        query = {"environment": name, "kind": row.kind}
        yield Hit(kind="connection", title=f"{row.kind} of {name}", detail=detail,
                  page="connections", query=query)  # fmt: skip


def _holding(text: str, *values: object) -> str:
    return next((str(each) for each in values if text.casefold() in str(each).casefold()), "")


def _ingested(session: ReadSession, text: str, names: Names) -> Iterator[Hit]:
    newest = session.scalar(select(func.max(IngestionRun.id))) or 0
    ran = select(IngestionRun.environment_id, IngestionRun.dataset_urn).where(
        IngestionRun.id > newest - NEWEST,
        IngestionRun.environment_id.in_(names),
        _has(IngestionRun.dataset_urn, text),
    )
    ruled = select(IngestionRule.environment_id, IngestionRule.pattern).where(
        IngestionRule.pattern.startswith("urn:li:dataset:"),
        IngestionRule.environment_id.in_(names),
        _has(IngestionRule.pattern, text),
    )
    both = [*session.execute(ran.distinct().limit(MOST)), *session.execute(ruled.limit(MOST))]
    for number, urn in list(dict.fromkeys((row[0], row[1]) for row in both))[:MOST]:
        query = {"environment": names[number], "dataset_urn": urn}
        yield Hit(kind="dataset", title=urn, detail=f"Ingestion in {names[number]}",
                  page="ingestion", query=query)  # fmt: skip


def _tokenized(session: ReadSession, text: str, names: Names) -> Iterator[Hit]:
    query = (
        select(TokenizationRun.environment_id, TokenizationRun.dataset)
        .where(TokenizationRun.environment_id.in_(names), _has(TokenizationRun.dataset, text))
        .group_by(TokenizationRun.environment_id, TokenizationRun.dataset)
        .order_by(func.max(TokenizationRun.id).desc())
        .limit(MOST)
    )
    for number, urn in session.execute(query):
        address = {"environment": names[number], "dataset": urn}
        yield Hit(kind="dataset", title=urn, detail=f"Tokenization in {names[number]}",
                  page="tokenization", query=address)  # fmt: skip


def _users(session: ReadSession, text: str, names: Names) -> Iterator[Hit]:
    """People of each environment's newest plan."""
    newest = (
        select(func.max(SyncPlan.id))
        .where(SyncPlan.environment_id.in_(names), SyncPlan.state == "ready")
        .group_by(SyncPlan.environment_id)
    )
    query = (
        select(SyncRow.email, SyncRow.kind, SyncPlan.id, SyncPlan.environment_id)
        .join(SyncPlan, SyncPlan.id == SyncRow.plan_id)
        .where(SyncRow.plan_id.in_(newest), _has(SyncRow.search, text.lower()))
        .limit(MOST)
    )
    for email, kind, plan, number in session.execute(query):
        address = {"environment": names[number], "plan": str(plan), "text": email}
        yield Hit(kind="user", title=email, detail=f"{kind.replace('_', ' ')} in plan {plan}",
                  page="user-sync", query=address)  # fmt: skip


def _hosts(session: ReadSession, text: str, names: Names) -> Iterator[Hit]:
    hosts = select(MountOrphan.environment_id, MountOrphan.host).where(
        MountOrphan.environment_id.in_(names), _has(MountOrphan.host, text)
    )
    targets = select(MountTarget.environment_id, MountTarget.target_id).where(
        MountTarget.environment_id.in_(names), _has(MountTarget.target_id, text)
    )
    for parameter, query in (("host", hosts), ("target", targets)):
        for number, name in session.execute(query.distinct().limit(MOST)):
            address = {"environment": names[number], "view": f"{parameter}s", parameter: name}
            yield Hit(kind="host", title=name, detail=f"mount {parameter} in {names[number]}",
                      page="mounts", query=address)  # fmt: skip


def _runs(session: ReadSession, text: str, _names: Names) -> Iterator[Hit]:
    newest = session.scalar(select(func.max(Job.id))) or 0
    query = select(Job.id, Job.title, Job.subject, Job.state).where(
        _numbered(Job.id, text)
        | ((Job.id > newest - NEWEST) & or_(_has(Job.title, text), _has(Job.subject, text)))
    )
    for number, title, subject, state in session.execute(query.order_by(Job.id.desc()).limit(MOST)):
        yield Hit(kind="run", title=f"Run {number}: {title}", detail=f"{subject}, {state}",
                  page="jobs", query={"job": str(number)})  # fmt: skip


def _changes(session: ReadSession, text: str, names: Names) -> Iterator[Hit]:
    query = (
        select(Change.id, Change.subject, Change.state)
        .where(
            Change.environment_id.in_(names),
            _numbered(Change.id, text) | _has(Change.subject, text),
        )
        .order_by(Change.id.desc())
        .limit(MOST)
    )
    for number, subject, state in session.execute(query):
        yield Hit(kind="change", title=f"Change {number}: {subject}", detail=state,
                  page="changes", query={"change": str(number)})  # fmt: skip


def _accounts(session: ReadSession, text: str, _names: Names) -> Iterator[Hit]:
    query = select(Account.id, Account.name, Account.role).where(_has(Account.name, text))
    for number, name, role in session.execute(query.order_by(Account.name).limit(MOST)):
        yield Hit(kind="account", title=name, detail=role,
                  page="accounts", query={"account": str(number)})  # fmt: skip


def _has(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    return column.icontains(text, autoescape=True)


def _numbered(column: InstrumentedAttribute[int], text: str) -> ColumnElement[bool]:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else -1
    return column == number


Source = Callable[[ReadSession, str, Names], Iterator[Hit]]
_SOURCES: tuple[tuple[Permission, Source], ...] = (
    (Permission.INGESTION_READ, _ingested),
    (Permission.TOKENIZATION_READ, _tokenized),
    (Permission.USER_SYNC_READ, _users),
    (Permission.MOUNTS_READ, _hosts),
    (Permission.CONNECTIONS_READ, _connections),
    (Permission.JOBS_READ, _runs),
    (Permission.CHANGES_READ, _changes),
    (Permission.ACCOUNTS_READ, _accounts),
)
