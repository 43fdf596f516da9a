"""Rows that a run changed are counted once, when its end is recorded."""

from datetime import timedelta

from sqlalchemy import insert, select, update

from backend.core import clock
from backend.core.database import Database
from backend.core.metrics import SHARED
from backend.models import TokenizationRun
from backend.tokenization import reconcile
from backend.tokenization.reconcile import Ending
from backend.tokenization.schemas import RunState
from benchmarks import _history_rows


def test_rows_are_counted_with_the_run_that_changed_them(database: Database) -> None:
    row = _history_rows.tokenization(1, clock.now() - timedelta(hours=1), 1)
    with database.write() as session:
        session.execute(insert(TokenizationRun), [row])
        session.execute(update(TokenizationRun).values(state="running"))
        [run_id] = session.scalars(select(TokenizationRun.id))
    labels = {"engine": row["engine"]}
    before = SHARED.get_sample_value("portal_tokenized_rows_total", labels) or 0
    ending = Ending(RunState.SUCCEEDED, "done", rows_scanned=9, rows_updated=7)
    for _again in range(2):
        reconcile.finish(database, run_id, ending)
    assert SHARED.get_sample_value("portal_tokenized_rows_total", labels) == before + 7
