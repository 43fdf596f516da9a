"""Pages of long tables, newest first, that cost the same however long the table has grown.

One exact filter, or two that have an index together, are answered by it over all of the history.
What no index answers (a part of a text, three filters together) looks through a bounded stretch of
rows for each page: the page may then be short or empty and still have a `next_cursor`, from which
the search goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Generic, TypeVar

from sqlalchemy import CTE, ColumnElement, Select, Table, func, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.database import ReadSession

T = TypeVar("T")
#: An exact filter: a column with an index (column, key), and the values it may have.
Exact = Mapping[InstrumentedAttribute[Any], Sequence[Any]]

#: Rows that one page looks through at most.
STRETCH = 4_000
_STEP = 500


@dataclass(frozen=True)
class Found(Generic[T]):
    """rows: newest first. next_cursor: the key before which to go on; None at the end."""

    rows: list[T]
    next_cursor: int | None


def page(
    session: ReadSession,
    query: Select[tuple[T]],
    key: InstrumentedAttribute[int],
    *,
    exact: Exact | None = None,
    rest: Sequence[ColumnElement[bool]] = (),
    nearly: Sequence[ColumnElement[bool]] = (),
    limit: int,
    before: int | None = None,
    since: int | None = None,
) -> Found[T]:
    """query: what to read of the rows, without conditions. key: unique and growing.

    rest: conditions that no index answers; nearly: those that almost all rows between `since` and
    `before` fulfil (the key from which on, and the one below which to read).
    """
    chosen = {column: values for column, values in (exact or {}).items() if values}
    conditions = [*rest, *nearly, *(column.in_(values) for column, values in chosen.items())]
    answered = list(_answered(key, chosen))
    searched = bool(rest) or (bool(chosen) and len(answered[0]) < len(chosen))
    found: Found[T] = Found([], None)
    # What many rows have is near; what few have is worth the whole stretch.
    steps = (min(step * limit, STRETCH) for step in (2, 20, STRETCH))
    for most in steps if searched else (limit + 1,):
        keys = _newest_keys(session, key, answered, most, before, since)
        every = not chosen  # the keys are all there are between the first and the last
        found = _fitting(
            session, query.where(*conditions), key, keys, limit, len(keys) == most, every
        )
        if len(found.rows) == limit or found.next_cursor is None:
            break
    return found


def _fitting(
    session: ReadSession,
    query: Select[tuple[T]],
    key: InstrumentedAttribute[int],
    keys: Sequence[int],
    limit: int,
    more: bool,
    every: bool,
) -> Found[T]:
    """Those of the keys' rows that the query finds. more: there are rows below the keys. every:
    there are no others between them."""
    rows: list[tuple[int, T]] = []
    for start in range(0, len(keys), _STEP):
        chunk = keys[start : start + _STEP]
        these = key.between(chunk[-1], chunk[0]) if every else key.in_(chunk)
        some = query.where(these).add_columns(key)
        found = session.execute(some.order_by(key.desc()).limit(limit + 1))
        rows += [(row[1], row[0]) for row in found]
        if len(rows) > limit:
            return Found([row for _, row in rows[:limit]], rows[limit - 1][0])
    return Found([row for _, row in rows], keys[-1] if more and keys else None)


def _answered(key: InstrumentedAttribute[int], chosen: Exact) -> Iterator[Exact]:
    """What an index of the table answers together: pairs, and each filter that is in none."""
    table: Table = key.class_.__table__
    indexes = {tuple(index.columns.keys()) for index in table.indexes}
    pairs = [
        {one: chosen[one], other: chosen[other]}
        for one, other in combinations(chosen, 2)
        if {(one.key, other.key, key.key), (other.key, one.key, key.key)} & indexes
    ]
    yield from pairs
    paired = {column for pair in pairs for column in pair}
    yield from ({column: values} for column, values in chosen.items() if column not in paired)


def _newest_keys(
    session: ReadSession,
    key: InstrumentedAttribute[int],
    answered: Sequence[Exact],
    most: int,
    before: int | None,
    since: int | None,
) -> list[int]:
    """The newest keys, of the filters that leave the fewest."""
    within = [key < before] if before is not None else []
    within += [key >= since] if since is not None else []
    fewest: list[int] | None = None
    for together in answered:
        found = list(session.scalars(_keys(key, together, within, most)))
        if fewest is None or len(found) < len(fewest):
            fewest = found
    if fewest is None:
        fewest = list(session.scalars(select(key).where(*within).order_by(key.desc()).limit(most)))
    return fewest


def _keys(
    key: InstrumentedAttribute[int],
    together: Exact,
    within: Sequence[ColumnElement[bool]],
    most: int,
) -> Select[tuple[int]]:
    """The newest of each combination of values, each from its own stretch of the index, put
    together."""
    parts = [
        select(key.label("k"))
        .where(*(column == value for column, value in zip(together, values, strict=True)), *within)
        .order_by(key.desc())
        .limit(most)
        for values in dict.fromkeys(product(*together.values()))
    ]
    if len(parts) == 1:
        return parts[0]
    every = union_all(*(select(part.subquery().c.k) for part in parts)).subquery()
    return select(every.c.k).order_by(every.c.k.desc()).limit(most)


def distinct(
    session: ReadSession,
    column: InstrumentedAttribute[str],
    *within: ColumnElement[bool],
) -> list[str]:
    """Every value that the column has, from one step into its index per value.

    within: equalities that the index begins with. DISTINCT reads the whole index instead.
    """
    values = _every_value(column, within)
    return list(session.scalars(select(values.c.value).where(values.c.value.is_not(None))))


def last_of_each(
    session: ReadSession,
    key: InstrumentedAttribute[int],
    column: InstrumentedAttribute[str],
    *within: ColumnElement[bool],
    nearly: Sequence[ColumnElement[bool]] = (),
) -> list[int]:
    """The newest key of every value of the column, from two steps per value into an index of
    `within`, the column and the key. nearly: what almost all rows fulfil."""
    values = _every_value(column, within)
    these = select(key).where(column == values.c.value, *within, *nearly)
    last = these.order_by(key.desc()).limit(1).scalar_subquery()
    found = session.scalars(select(last).where(values.c.value.is_not(None)))
    return [number for number in found if number is not None]


def _every_value(column: InstrumentedAttribute[str], within: Sequence[ColumnElement[bool]]) -> CTE:
    first = select(func.min(column).label("value")).where(*within)
    values = first.cte("every_value", recursive=True)
    following = select(func.min(column)).where(column > values.c.value, *within)
    return values.union_all(select(following.scalar_subquery()).where(values.c.value.is_not(None)))
