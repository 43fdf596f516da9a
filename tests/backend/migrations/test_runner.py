"""The migrations make exactly the models' schema on SQLite, PostgreSQL and MariaDB."""

import threading
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from backend import models
from backend.core import startup
from backend.core.database import Base, Database
from backend.migrations import runner


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def empty(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/empty.sqlite"
    else:
        url = request.getfixturevalue(f"{request.param}_url")
    database = Database(url)
    yield database
    database.dispose()


def _differences(database: Database) -> list[object]:
    assert models.__all__
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return list(compare_metadata(context, Base.metadata))


class TestUpgrade:
    def test_makes_the_schema_of_the_models(self, empty: Database) -> None:
        runner.upgrade(empty)
        assert _differences(empty) == []
        assert runner.current(empty) == runner.newest() == startup.SCHEMA_REVISION

    def test_is_safe_when_several_processes_start_at_once(self, empty: Database) -> None:
        errors: list[BaseException] = []

        def start() -> None:
            other = Database(empty.url)
            try:
                runner.upgrade(other)
            except BaseException as exc:
                errors.append(exc)
            finally:
                other.dispose()

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert runner.current(empty) == runner.newest()
