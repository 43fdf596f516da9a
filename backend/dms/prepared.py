"""Statements compiled once, and several of them in one packet."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Executable


class Prepared:
    """A statement in the driver's own words, compiled once. Its parameters are bindparam()s."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # all have it
        self.text: str = compiled.string
        self._given: dict[str, Any] = dict(compiled.params)
        self._order: list[str] | None = compiled.positiontup

    def bound(self, values: Mapping[str, Any]) -> Any:
        """The driver's parameters; those that the statement does not have are passed over."""
        named = {**self._given, **values}
        if self._order is None:
            return {name: named[name] for name in self._given}
        return tuple([named[name] for name in self._order])


class Done(NamedTuple):
    """What a statement did. Rows are as the driver gives them, without SQLAlchemy's types."""

    rows: Sequence[Any]
    rowcount: int


def run(connection: Connection, *steps: tuple[Prepared, Mapping[str, Any]]) -> list[Done]:
    """Execute the statements one after the other; PyMySQL sends them in one packet, for each is a
    round trip that a mount waits for. The first that fails ends it, with SQLAlchemy's error."""
    found: list[Done] = []
    joined = connection.dialect.driver == "pymysql"
    try:
        with closing(connection.connection.cursor()) as cursor:
            for packet in [steps] if joined else [(step,) for step in steps]:
                values = [prepared.bound(given) for prepared, given in packet]
                text = ";".join([prepared.text for prepared, _ in packet])
                cursor.execute(text, values[0] if len(values) == 1 else [*chain(*values)])
                for number in range(len(packet)):
                    if number:
                        cursor.nextset()
                    rows = cursor.fetchall() if cursor.description else ()
                    found.append(Done(rows, cursor.rowcount))
    except BaseException as exc:
        # SQLAlchemy reads no second result, but knows what each error means for the pool.
        connection.exec_driver_sql("", execution_options={"failed": exc})
        raise
    return found


def raise_failed(_cursor: Any, _statement: str, _parameters: Any, context: Any) -> None:
    """Where SQLAlchemy executes: what failed in `run` fails here."""
    if failed := context.execution_options.get("failed"):
        raise failed
