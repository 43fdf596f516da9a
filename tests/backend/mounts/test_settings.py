"""The explorer's connections: which ledger, and that no query runs for ever."""

import pytest
from sqlalchemy import text

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.mounts import explorer
from backend.mounts import settings as mount_settings
from backend.mounts.errors import ClientError
from backend.mounts.settings import DmsSettings, open_ledger
from tests.fixtures.mounts import add_environment


def _settings(url: str) -> DmsSettings:
    return DmsSettings("", 0, False, url, "", 1.0)


class TestQueriesAreLimited:
    @pytest.mark.parametrize(
        ("fixture", "query"),
        [
            ("mariadb_url", "SELECT COUNT(*) FROM seq_1_to_100000000 a JOIN seq_1_to_1000 b"),
            ("postgres_url", "SELECT pg_sleep(30)"),
        ],
    )
    def test_a_long_one_is_ended_with_a_word(
        self,
        request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
        fixture: str,
        query: str,
    ):
        monkeypatch.setattr(mount_settings, "QUERY_SECONDS", 1)
        ledger = open_ledger(_settings(request.getfixturevalue(fixture)))
        with pytest.raises(ClientError, match="took too long"):
            ledger.read(lambda c: c.execute(text(query)).all())
        mount_settings.forget_ledgers()


class TestOpenLedger:
    def test_one_pool_per_ledger(self, seeded_ledger: str):
        first = open_ledger(_settings(seeded_ledger))
        assert open_ledger(_settings(seeded_ledger)) is first
        mount_settings.forget_ledgers()

    def test_a_ledger_that_is_away_is_said_and_not_remembered(self, database: Database):
        url = "mysql+pymysql://user:hidden@127.0.0.1:1/ledger"
        add_environment(database, ledger_url=url, broker_url="memory://nobody")
        for _ in range(2):
            with (
                database.read() as session,
                pytest.raises(ClientError, match=r"nothing listens|cannot be reached") as caught,
            ):
                explorer.list_mounts(session, SYSTEM)
            assert "hidden" not in str(caught.value)
