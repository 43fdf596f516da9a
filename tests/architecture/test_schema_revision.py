"""A process on a current database starts without Alembic, so it must know the right revision."""

from backend.core import startup
from backend.migrations import runner


def test_the_revision_in_startup_is_the_newest_migration():
    assert runner.newest() == startup.SCHEMA_REVISION
