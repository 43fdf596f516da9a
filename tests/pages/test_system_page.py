"""The system page: the rules of retention, what would leave, and who may start it."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from backend.core import clock
from backend.core.database import Base, Database
from backend.models import Job
from benchmarks import _history_rows
from tests.fixtures.pages import OpenPage


@pytest.fixture
def old_jobs(database: Database) -> None:
    with database.write() as session:
        rows = [_history_rows.job(n, clock.now() - timedelta(days=1100)) for n in range(4)]
        session.execute(insert(Job), rows)
        session.execute(update(Job).values(state="succeeded"))


class TestRetention:
    def test_lists_every_table_and_what_would_leave(
        self, open_page: OpenPage, old_jobs: None
    ) -> None:
        app = open_page("system/page.py")
        [rules] = [frame.value for frame in app.dataframe]
        assert sorted(rules["Table"]) == sorted(Base.metadata.tables)
        assert rules.iloc[0][["Table", "Would leave now"]].tolist() == ["jobs", 3]
        assert "**3** rows would leave now." in app.markdown[0].value

    def test_an_admin_starts_the_job_after_typing_a_word(
        self, open_page: OpenPage, old_jobs: None, database: Database
    ) -> None:
        app = open_page("system/page.py")
        app.button(key="system.retention.open").click().run()
        assert app.button(key="system.retention.confirm").disabled
        app.text_input(key="system.retention.typed").set_value("remove").run()
        app.button(key="system.retention.confirm").click().run()
        assert not app.exception
        with database.read() as session:
            assert "jobs.retention" in set(session.scalars(select(Job.kind)))

    def test_nothing_old_is_nothing_to_start(self, open_page: OpenPage) -> None:
        assert open_page("system/page.py").button(key="system.retention.open").disabled

    def test_an_auditor_looks_and_has_no_button(self, open_page: OpenPage, old_jobs: None) -> None:
        app = open_page("system/page.py", role="auditor")
        assert len(app.dataframe) == 1
        assert not [each for each in app.button if each.key == "system.retention.open"]
