"""The SQL of a plan's rows: written by the hundred thousand, read by the page."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, insert, or_, select

from backend.core.database import Database, ReadSession, Turns, WriteSession, findable
from backend.core.views import of_row
from backend.integrations.openmetadata.gateway import user_url
from backend.integrations.openmetadata.schemas import DomainRef
from backend.models import SyncPlan, SyncRow
from backend.user_sync.comparing import PlanRow
from backend.user_sync.fields import DISPLAY_NAME, DOMAINS, dumped, loaded
from backend.user_sync.matching import change_line, changes_digest
from backend.user_sync.schemas import OBSERVED, RowFilter, RowPage, RowView

_COLUMNS = tuple(column.name for column in SyncRow.__table__.columns)
_SQLITE_ROWS = 100
#: Rows of one transaction: other writers wait for its end.
STORED_TOGETHER, DROPPED_TOGETHER = 500, 2_000

_Values = tuple[Any, ...]


class RowStore:
    """Stores a plan's rows; what can be done before a transaction begins is done before."""

    def __init__(self, database: Database, plan_id: int) -> None:
        self._turns = Turns(database)
        self._plan_id = plan_id
        self._encode = RefEncoder()

    def add(self, rows: Sequence[PlanRow]) -> None:
        for some in _together(rows):
            made = values(self._plan_id, some, self._encode)
            with self._turns.write() as session:
                insert_rows(session, made)

    def replace(self, rows: Sequence[PlanRow]) -> None:
        """Store rows again that turned out differently."""
        for some in _together(rows):
            made = values(self._plan_id, some, self._encode)
            positions = [row.position for row in some]
            with self._turns.write() as session:
                session.execute(
                    delete(SyncRow).where(
                        SyncRow.plan_id == self._plan_id, SyncRow.position.in_(positions)
                    )
                )
                insert_rows(session, made)


def _together(rows: Sequence[PlanRow]) -> Iterator[Sequence[PlanRow]]:
    for start in range(0, len(rows), STORED_TOGETHER):
        yield rows[start : start + STORED_TOGETHER]


def insert_rows(session: WriteSession, values: Sequence[_Values]) -> None:
    """Past the ORM: 100,000 rows are the usual case."""
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        connection.execute(
            # mypy: declared as FromClause, is a Table
            insert(SyncRow.__table__),  # type: ignore[arg-type]
            [dict(zip(_COLUMNS, value, strict=True)) for value in values],
        )
        return
    # A hundred rows a statement, past SQLAlchemy: the driver gives the interpreter away at each
    # statement, and the thread that lists users would take it 100,000 times.
    for start in range(0, len(values), _SQLITE_ROWS):
        some = values[start : start + _SQLITE_ROWS]
        connection.exec_driver_sql(_sqlite_insert(len(some)), tuple(chain.from_iterable(some)))


@lru_cache(maxsize=_SQLITE_ROWS)
def _sqlite_insert(rows: int) -> str:
    marks = f"({','.join('?' * len(_COLUMNS))})"
    return (
        f"INSERT INTO {SyncRow.__tablename__} ({','.join(_COLUMNS)}) "  # noqa: S608 - our own names
        f"VALUES {','.join([marks] * rows)}"
    )


def drop_rows(database: Database, plan_id: int) -> None:
    """Delete a plan's rows in short transactions: a million at once would keep others waiting."""
    turns, start = Turns(database), 0
    with database.read() as session:
        last = session.scalar(select(func.max(SyncRow.position)).where(SyncRow.plan_id == plan_id))
    while last is not None and start <= last:
        end = start + DROPPED_TOGETHER
        with turns.write() as session:
            session.execute(
                delete(SyncRow).where(
                    SyncRow.plan_id == plan_id, SyncRow.position >= start, SyncRow.position < end
                )
            )
        start = end


class RefEncoder:
    """Domain lists as JSON text; users share few lists, so each is encoded once.

    Known by identity (hashing 300,000 tuples costs more than the rest); the lists are kept here,
    so that an identity never means another list.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[DomainRef, ...], str]] = {}
        self._keys: dict[tuple[int, int, str], str] = {}

    def text(self, refs: tuple[DomainRef, ...]) -> str:
        known = self._known.get(id(refs))
        if known is None:
            plain = [{"id": r.id, "name": r.name, "fqn": r.fqn} for r in refs]
            known = self._known[id(refs)] = (refs, json.dumps(plain))
        return known[1]

    def keys(self, old: tuple[DomainRef, ...], new: tuple[DomainRef, ...], said: str) -> str:
        """Everything a filter by domain should find the row under."""
        mark = (id(old), id(new), said)
        known = self._keys.get(mark)
        if known is None:
            self.text(old), self.text(new)  # keeps both lists, and so their identities
            names = {ref.fqn for ref in old + new} | ({said.strip()} if said and not new else set())
            joined = "|".join(sorted(findable(name) for name in names))
            known = self._keys[mark] = f"|{joined}|"
        return known


def values(plan_id: int, rows: Sequence[PlanRow], encode: RefEncoder) -> list[_Values]:
    """What `insert_rows` takes."""
    return [_values(plan_id, row, encode) for row in rows]


def _values(plan_id: int, row: PlanRow, encode: RefEncoder) -> _Values:
    """In the order of the table's columns."""
    user = row.user
    if user is None:
        name = old_name = version = updated_at = user_id = None
        old: tuple[DomainRef, ...] = ()
        inherited = "[]"
    else:
        name, old_name, user_id = user.name, user.display_name, user.id
        version, updated_at, old = user.version, user.updated_at, user.domains
        inherited = encode.text(user.inherited)
    # What is the same on both sides is kept once: most of 100,000 rows are.
    new_name = None if row.new_name == old_name else row.new_name
    return (
        plan_id,
        row.position,
        row.kind,
        row.reason,
        row.email,
        user_id,
        name,
        version,
        updated_at,
        old_name,
        new_name,
        row.sets_name,
        row.look_alike,
        encode.text(old),
        encode.text(row.new_domains) if row.sets_domains else "",
        inherited,
        row.sets_domains,
        encode.keys(old, row.new_domains, row.domain),
        f"{row.email}\n{name or ''}\n{old_name or ''}\n{new_name or ''}".casefold(),
        dumped(row.texts),
        row.unknown,
    )


def page(
    session: ReadSession, plan: SyncPlan, wanted: RowFilter, *, offset: int, limit: int
) -> RowPage:
    """Rows in the directory's order."""
    conditions = _conditions(plan.id, wanted)
    total = session.scalar(select(func.count()).select_from(SyncRow).where(*conditions)) or 0
    query = (
        select(SyncRow).where(*conditions).order_by(SyncRow.position).offset(offset).limit(limit)
    )
    items = tuple(row_view(row, plan.host_port) for row in session.scalars(query))
    return RowPage(items, total, offset)


def all_rows(
    session: ReadSession, plan: SyncPlan, wanted: RowFilter, *, limit: int
) -> Iterator[RowView]:
    """Every row the filter finds, read in steps, for exports."""
    after, left = -1, limit
    while left > 0:
        query = (
            select(SyncRow)
            .where(*_conditions(plan.id, wanted), SyncRow.position > after)
            .order_by(SyncRow.position)
            .limit(min(2_000, left))
        )
        rows = session.scalars(query).all()
        for row in rows:
            yield row_view(row, plan.host_port)
            session.expunge(row)
        if len(rows) < 2_000:
            return
        after, left = rows[-1].position, left - len(rows)


def applicable_ids(session: ReadSession, plan_id: int, wanted: RowFilter) -> list[str]:
    """User ids of the rows that could be applied, in the directory's order."""
    query = (
        select(SyncRow.user_id)
        .where(*_conditions(plan_id, wanted), _APPLICABLE)
        .order_by(SyncRow.position)
    )
    return [str(user_id) for user_id in session.scalars(query)]


def applicable_rows(session: ReadSession, plan_id: int) -> list[tuple[int, str, str]]:
    """(position, user id, e-mail) of every row that could be applied."""
    query = (
        select(SyncRow.position, SyncRow.user_id, SyncRow.email)
        .where(SyncRow.plan_id == plan_id, _APPLICABLE)
        .order_by(SyncRow.position)
    )
    return [(position, str(user), email) for position, user, email in session.execute(query)]


def losing_domains(session: ReadSession, plan_id: int) -> dict[str, str]:
    """User id → e-mail of the rows that would take a direct domain away."""
    query = select(SyncRow.user_id, SyncRow.email, SyncRow.old_domains, SyncRow.new_domains).where(
        SyncRow.plan_id == plan_id, SyncRow.sets_domains.is_(True)
    )
    known: dict[tuple[str, str], bool] = {}  # users share few lists
    found = {}
    for user_id, email, old, new in session.execute(query):
        if (old, new) not in known:
            known[old, new] = bool({ref.id for ref in refs(old)} - {ref.id for ref in refs(new)})
        if known[old, new]:
            found[str(user_id)] = email
    return found


def digest_of_rows(session: ReadSession, plan_id: int) -> str:
    """The digest of what a plan would change, from its stored rows."""
    query = (
        select(
            SyncRow.user_id,
            SyncRow.version,
            case((SyncRow.sets_name, SyncRow.new_name)),
            case((SyncRow.sets_domains, SyncRow.new_domains), else_=SyncRow.old_domains),
            SyncRow.texts,
        )
        .where(SyncRow.plan_id == plan_id, _APPLICABLE)
        .order_by(SyncRow.position)
    )
    return changes_digest(
        change_line(str(user_id), version, name, {ref.id for ref in refs(domains)}, loaded(texts))
        for user_id, version, name, domains, texts in session.execute(query)
    )


def get_row(session: ReadSession, plan_id: int, user_id: str) -> SyncRow | None:
    """The applicable row of a user."""
    query = select(SyncRow).where(
        SyncRow.plan_id == plan_id, SyncRow.user_id == user_id, _APPLICABLE
    )
    return session.scalars(query).first()


_APPLICABLE = or_(
    SyncRow.sets_name.is_(True), SyncRow.sets_domains.is_(True), SyncRow.texts.is_not(None)
)


def keep(row: SyncRow, field: str) -> None:
    """Take the change of an attribute out of a row: what OpenMetadata holds stays."""
    if field == DISPLAY_NAME.name:
        row.sets_name = row.look_alike = False
    elif field == DOMAINS.name:
        row.sets_domains, row.new_domains = False, row.old_domains
    else:
        row.texts = dumped({n: pair for n, pair in loaded(row.texts).items() if n != field})


def _conditions(plan_id: int, wanted: RowFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [SyncRow.plan_id == plan_id]
    if wanted.kinds:
        found.append(SyncRow.kind.in_(wanted.kinds))
    else:
        found.append(SyncRow.kind.not_in(OBSERVED))
    if wanted.only_applicable:
        found.append(_APPLICABLE)
    if wanted.domain:
        key = f"|{findable(wanted.domain)}|"
        found.append(SyncRow.domain_keys.contains(key, autoescape=True))
    for word in findable(wanted.text).split():
        found.append(SyncRow.search.contains(word, autoescape=True))
    return found


def row_view(row: SyncRow, host_port: str) -> RowView:
    return of_row(
        RowView,
        row,
        user_url=user_url(host_port, row.user_name) if row.user_name else None,
        new_name=row.old_name if row.new_name is None and not row.sets_name else row.new_name,
        old_domains=refs(row.old_domains),
        new_domains=refs(row.new_domains if row.sets_domains else row.old_domains),
        inherited=refs(row.inherited),
        texts=loaded(row.texts),
        unknown=tuple(row.unknown.split("\n")) if row.unknown else (),
    )


def refs(text: str) -> tuple[DomainRef, ...]:
    return tuple(DomainRef(**raw) for raw in json.loads(text)) if text != "[]" else ()
