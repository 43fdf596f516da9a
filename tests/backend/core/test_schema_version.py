"""An older portal leaves a newer one's database alone."""

import pytest
from sqlalchemy import text

from backend.core import secret_store, startup
from backend.core.errors import SettingsError


def test_refuses_a_database_of_a_newer_version_and_changes_nothing(database):
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
    with pytest.raises(SettingsError, match="9999_future, which this version"):
        startup.prepare(database, secret_store.get_vault())
    with database.read() as session:
        found = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert found == "9999_future"
