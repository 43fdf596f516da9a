"""Counters of the whole portal: every process adds what it counted to rows of the state database.

Jobs run in workers that nobody asks for figures, and there may be several portals: whichever
answers `/metrics` shows the sum of all, which also goes on after a restart.
"""

import json
import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from sqlalchemy import Float, String, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import MYSQL_TABLE, Base, Database
from backend.core.metrics import SHARED

_Series = tuple[str, str]
_lock = threading.Lock()
#: Writes that are tried when other processes make the same rows at the same moment.
_TRIES = 3
_added: dict[_Series, float] = {}


class MetricTotal(Base):
    """One series: name as Prometheus has it, labels as JSON with sorted keys, and its sum."""

    __tablename__ = "metric_totals"
    __table_args__ = (MYSQL_TABLE,)

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    labels: Mapped[str] = mapped_column(String(300), primary_key=True)
    value: Mapped[float] = mapped_column(Float(53))


def add(database: Database) -> None:
    """Add what this process counted since the last call; what cannot be added waits for the next.

    Raises StateDatabaseDown.
    """
    with _lock:
        counted = _counted(SHARED)
        more = {
            each: value - _added.get(each, 0.0)
            for each, value in counted.items()
            if value != _added.get(each)
        }
        if not more:
            return
        for _try in range(_TRIES):
            try:
                _write(database, more)
            except IntegrityError:
                continue  # another process made the same row first: now it can be added to
            _added.update(counted)
            return


def _counted(registry: CollectorRegistry) -> dict[_Series, float]:
    return {
        (sample.name, json.dumps(sample.labels, sort_keys=True)): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def _write(database: Database, more: dict[_Series, float]) -> None:
    with database.write() as session:
        for (name, labels), value in sorted(more.items()):  # one order: no two wait for each other
            found = session.execute(
                update(MetricTotal)
                .where(MetricTotal.name == name, MetricTotal.labels == labels)
                .values(value=MetricTotal.value + value)
            )
            if not found.rowcount:  # type: ignore[attr-defined]  # Result is CursorResult here
                session.add(MetricTotal(name=name, labels=labels, value=value))
                session.flush()


class Totals:
    """A collector of what all processes have added."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        with self._database.read() as session:
            rows = [
                (row.name, json.loads(row.labels), row.value)
                for row in session.scalars(select(MetricTotal))
            ]
        for family in SHARED.collect():
            metric = Metric(family.name, family.documentation, family.type)
            names = {f"{family.name}{suffix}" for suffix in ("_total", "_bucket", "_count", "_sum")}
            for name, labels, value in sorted(
                (row for row in rows if row[0] in names), key=_in_order
            ):
                metric.add_sample(name, labels, value)
            yield metric


def _in_order(row: tuple[str, dict[str, str], float]) -> tuple[list[tuple[str, str]], str, float]:
    """A histogram's buckets together, by their bound."""
    name, labels, _ = row
    others = [(key, value) for key, value in sorted(labels.items()) if key != "le"]
    return others, name, float(labels.get("le", "inf"))
