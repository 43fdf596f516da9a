"""How long rows are kept: one written rule per table, and the clean-up that follows them.

The rules name tables of every domain, so backend/retention.py holds them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from sqlalchemy import ColumnElement, delete, func, select

from backend.core import archive, audit, clock
from backend.core.database import Base, Database, ReadSession, Turns
from backend.core.settings import get_settings

#: Rows of one file of an archive, and of one transaction.
ROWS = 500


#: Told after each transaction how many rows of the table have left; may raise to stop there.
Step = Callable[[int], None]


class Leaver(Protocol):
    """How the old rows of a table leave."""

    def due(self, session: ReadSession, before: datetime) -> int:
        """How many are older than that and would leave; changes nothing."""

    def leave(self, database: Database, before: datetime, step: Step) -> int:
        """Remove them in small transactions; how many."""


@dataclass(frozen=True)
class Rule:
    """How long a table's rows are kept.

    kept: in words; "{days}" is what the setting says. setting: a field of Settings with a number
    of days, 0 for ever. leaver: removes what is older. by: the periodic task that removes them
    where there is no leaver; neither of the two: for ever, or until a person removes them.
    """

    table: str
    kept: str
    setting: str = ""
    leaver: Leaver | None = None
    by: str = ""

    @property
    def days(self) -> int:
        return int(getattr(get_settings(), self.setting)) if self.setting else 0

    @property
    def words(self) -> str:
        """How long, with the setting's days."""
        if self.setting and not self.days:
            return "for ever, until the setting says a number of days"
        return self.kept.format(days=f"{self.days:,} days")

    @property
    def before(self) -> datetime | None:
        """What is older leaves; None: nothing does."""
        return clock.now() - timedelta(days=self.days) if self.days and self.leaver else None


_rules: Callable[[], Sequence[Rule]] | None = None


def provide(rules: Callable[[], Sequence[Rule]]) -> None:
    """Where the rules come from; asked at each use."""
    global _rules
    _rules = rules


def rules() -> Sequence[Rule]:
    if _rules is None:
        raise RuntimeError("no rules: call backend.composition.install() first")
    return _rules()


def clean(database: Database, step: Callable[[Rule, int], None]) -> Iterator[tuple[str, int]]:
    """Remove what the rules say, one table after another: its name and how many rows left it.

    step: as `Step`, and before each table.
    """
    for rule in rules():
        before = rule.before
        if before is None or rule.leaver is None:
            continue
        step(rule, 0)
        count = rule.leaver.leave(database, before, partial(step, rule))
        if count:
            yield rule.table, count


@dataclass(frozen=True)
class Rows:
    """The rows of a table that fulfil conditions, which must name all that is still needed.

    The newest row stays, whatever its age: a database gives the number of a last row that was
    deleted to the next one. archived: into a signed file before. first: what goes before a row.
    """

    table: type[Base]
    old: Callable[[datetime], Sequence[ColumnElement[bool]]]
    archived: bool = False
    first: Callable[[Database, Any], None] | None = None

    def due(self, session: ReadSession, before: datetime) -> int:
        conditions = (self._key < self._newest(session), *self.old(before))
        query = select(func.count()).select_from(self.table).where(*conditions)
        return session.scalar(query) or 0

    def leave(self, database: Database, before: datetime, step: Step) -> int:
        conditions, turns, removed, after = self.old(before), Turns(database), 0, 0
        newest = database.ask(self._newest)
        while True:
            with database.read() as session:
                query = select(self.table).where(self._key > after, self._key < newest, *conditions)
                rows = list(session.scalars(query.order_by(self._key).limit(ROWS)))
                signing = audit.key_of(session) if self.archived else b""
            if not rows:
                return removed
            after = rows[-1].id  # type: ignore[attr-defined]  # as in `_key`
            removed += self._remove(turns, database, rows, conditions, signing)
            step(removed)

    def _remove(
        self,
        turns: Turns,
        database: Database,
        rows: Sequence[Base],
        conditions: Sequence[ColumnElement[bool]],
        signing: bytes,
    ) -> int:
        """What no longer fulfils the conditions when it would be deleted stays."""
        numbers = [row.id for row in rows]  # type: ignore[attr-defined]  # as in `_key`
        if self.archived:
            names = [column.name for column in self.table.__table__.columns]
            documents = [{name: getattr(row, name) for name in names} for row in rows]
            archive.write(signing, self.table.__tablename__, (numbers[0], numbers[-1]), documents)
        if self.first is not None:
            for row in rows:
                self.first(database, row)
        query = delete(self.table).where(self._key.in_(numbers), *conditions)
        with turns.write() as session:
            gone = session.execute(query, execution_options={"synchronize_session": False})
            return int(gone.rowcount)  # type: ignore[attr-defined]  # a DELETE has one

    @property
    def _key(self) -> ColumnElement[int]:
        # mypy: every table that is cleaned has a number of its own
        key: ColumnElement[int] = self.table.id  # type: ignore[attr-defined]
        return key

    def _newest(self, session: ReadSession) -> int:
        return session.scalar(select(func.max(self._key))) or 0
