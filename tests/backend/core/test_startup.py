"""A wrong key at start-up is refused by name, and nothing is changed."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from backend.core import crypto, secret_store, startup
from backend.core.crypto import Vault
from backend.core.database import Database
from backend.core.errors import SettingsError


def _snapshot(path: Path) -> str:
    import sqlite3

    with sqlite3.connect(path) as connection:
        return "\n".join(connection.iterdump())


class TestPrepare:
    def test_a_wrong_key_names_the_row_and_changes_nothing(
        self, database: Database, data_dir: Path
    ) -> None:
        startup.prepare(database, secret_store.get_vault())
        before = _snapshot(data_dir / "portal.sqlite")
        with pytest.raises(SettingsError, match=r"'audit-key'|'canary'"):
            startup.prepare(database, Vault([Fernet.generate_key().decode()]))
        assert _snapshot(data_dir / "portal.sqlite") == before

    def test_an_empty_database_is_migrated_and_gets_its_secrets(self, data_dir: Path) -> None:
        fresh = Database(f"sqlite:///{data_dir / 'fresh.sqlite'}")
        startup.prepare(fresh, secret_store.get_vault())
        assert secret_store.check(fresh, secret_store.get_vault()) == {"canary", "audit-key"}
        fresh.dispose()

    def test_a_server_that_is_not_there_is_one_clear_problem(self, data_dir: Path) -> None:
        gone = Database("postgresql+psycopg2://nobody:planted-secret@127.0.0.1:1/x")
        with pytest.raises(SettingsError, match="PORTAL_DATABASE_URL") as caught:
            startup.prepare(gone, secret_store.get_vault())
        assert "planted-secret" not in str(caught.value)

    def test_a_file_that_cannot_be_made_is_one_clear_problem(
        self, data_dir: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        nowhere = Database(f"sqlite:///{tmp_path / 'file' / 'state' / 'portal.sqlite'}")
        with pytest.raises(SettingsError, match=r"PORTAL_DATA_DIR.*portal\.sqlite cannot be used"):
            startup.prepare(nowhere, secret_store.get_vault())

    def test_a_folder_for_the_keys_that_cannot_be_made_is_one_clear_problem(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(SettingsError, match=r"PORTAL_DATA_DIR: .*Not a directory"):
            crypto.load_vault("", tmp_path / "file" / "state")

    def test_a_rotated_key_file_is_seen_by_a_running_process(
        self, database: Database, data_dir: Path
    ) -> None:
        before = secret_store.get_vault().key_id
        crypto.add_key_to_file(data_dir)
        assert secret_store.get_vault().key_id != before
        secret_store.check(database, secret_store.get_vault())
