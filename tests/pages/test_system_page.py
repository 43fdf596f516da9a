"""The system page: the rules of retention, what would leave, and who may start it."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from backend.accounts import deployment
from backend.core import clock
from backend.core.access import SYSTEM
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
        assert rules.iloc[0][["Table", "Due now"]].tolist() == ["jobs", 3]
        (said,) = [each.value for each in app.markdown if "would be removed now" in each.value]
        assert "**3** rows would be removed now." in said

    def test_an_admin_starts_the_job_after_typing_a_word(
        self, open_page: OpenPage, old_jobs: None, database: Database
    ) -> None:
        app = open_page("system/page.py")
        app.button(key="system.retention.open").click().run()
        assert app.button(key="system.retention.confirm").disabled
        assert "3 rows of jobs. Audit events" in "\n".join(e.value for e in app.markdown)
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


class TestDeployment:
    def test_the_newest_report_says_what_mends_it(
        self, open_page: OpenPage, database: Database
    ) -> None:
        checks = [
            {"name": "Slow body", "ok": True, "seen": "Answered 408.", "mend": ""},
            {"name": "Plain http", "ok": False, "seen": "Answered 200.", "mend": "listen 443 ssl"},
        ]
        with database.write() as session:
            job_id = deployment.start(session, SYSTEM)
            values = {"state": "succeeded", "result": {"checks": checks}}
            changed = update(Job).where(Job.id == job_id)
            session.execute(changed.values(finished_at=clock.now(), **values))
        app = open_page("system/page.py", view="deployment")
        assert app.warning[0].value == "1 of 2 need a change at the proxy or here."
        rows = app.dataframe[0].value
        assert rows["Sent"].tolist() == ["Plain http", "Slow body"]
        assert rows["What mends it"].tolist()[0] == "listen 443 ssl"

    def test_an_admin_asks_for_one_and_an_auditor_cannot(
        self, open_page: OpenPage, database: Database
    ) -> None:
        auditor = open_page("system/page.py", role="auditor", view="deployment")
        assert not [each for each in auditor.button if each.key == "system.prove"]
        open_page("system/page.py", view="deployment").button(key="system.prove").click().run()
        with database.read() as session:
            assert list(session.scalars(select(Job.kind))) == [deployment.KIND]
