"""The portal's own secrets: made once, opened by their own name alone, gone when taken."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from backend.core import clock, secret_store, startup
from backend.core.crypto import SecretUnreadable, Vault
from backend.core.database import Database
from backend.core.errors import SettingsError
from backend.core.secret_store import AUDIT_KEY, CANARY, SystemSecret, get_vault


@pytest.fixture
def fresh(data_dir: Path) -> Iterator[Database]:
    """Migrated, and without any secret."""
    database = Database(f"sqlite:///{data_dir / 'fresh.sqlite'}")
    startup.prepare(database, get_vault())
    with database.write() as session:
        for name in (CANARY, AUDIT_KEY):
            session.delete(session.get_one(SystemSecret, name))
    yield database
    database.dispose()


def _row(database: Database, name: str) -> SystemSecret:
    with database.read() as session:
        return session.get_one(SystemSecret, name)


class TestEnsure:
    def test_makes_32_random_bytes_each_under_the_newest_key(self, fresh: Database) -> None:
        vault = get_vault()
        assert secret_store.check(fresh, vault) == frozenset()
        before = clock.now()
        secret_store.ensure(fresh, vault)
        assert secret_store.check(fresh, vault) == {CANARY, AUDIT_KEY}
        values = [fresh.ask(secret_store.read, vault, name) for name in (CANARY, AUDIT_KEY)]
        assert [len(value) for value in values] == [32, 32]
        assert values[0] != values[1]
        row = _row(fresh, CANARY)
        assert row.key_id == vault.key_id
        assert row.updated_at >= before

    def test_keeps_what_is_there(self, fresh: Database) -> None:
        secret_store.ensure(fresh, get_vault())
        before = _row(fresh, AUDIT_KEY).ciphertext
        secret_store.ensure(fresh, get_vault())
        assert _row(fresh, AUDIT_KEY).ciphertext == before

    def test_of_two_that_make_one_at_once_the_stored_one_counts_if_it_opens(
        self, fresh: Database
    ) -> None:
        secret_store.ensure(fresh, get_vault())
        before = _row(fresh, CANARY).ciphertext
        secret_store._create(fresh, get_vault(), CANARY)
        assert _row(fresh, CANARY).ciphertext == before
        with pytest.raises(SecretUnreadable):
            secret_store._create(fresh, Vault([Fernet.generate_key().decode()]), CANARY)


class TestCheck:
    def test_another_key_is_refused_with_the_row_and_the_way_out(self, fresh: Database) -> None:
        secret_store._create(fresh, get_vault(), CANARY)
        with pytest.raises(SettingsError) as refused:
            secret_store.check(fresh, Vault([Fernet.generate_key().decode()]))
        assert refused.value.problems == [
            "PORTAL_SECRET_KEYS: row 'canary' of table system_secrets does not open with the "
            "configured keys. Nothing was changed. Start with the key this database was made with "
            "(put new keys in front of it, then run: secrets rotate)."
        ]
        with pytest.raises(SettingsError):
            secret_store.ensure(fresh, Vault([Fernet.generate_key().decode()]))

    def test_a_secret_put_under_another_name_does_not_open(self, fresh: Database) -> None:
        secret_store.ensure(fresh, get_vault())
        with fresh.write() as session:
            rows = [session.get_one(SystemSecret, name) for name in (CANARY, AUDIT_KEY)]
            rows[0].ciphertext, rows[1].ciphertext = rows[1].ciphertext, rows[0].ciphertext
        with pytest.raises(SettingsError, match=r"row '(canary|audit-key)'"):
            secret_store.check(fresh, get_vault())


class TestKept:
    def test_is_taken_once(self, database: Database) -> None:
        before = clock.now()
        with database.write() as session:
            secret_store.keep(session, "one", "planted-secret")
            secret_store.keep(session, "two", "another")
        row = _row(database, "one")
        assert "planted-secret" not in row.ciphertext
        assert (row.key_id, row.updated_at >= before) == (get_vault().key_id, True)
        for expected in ("planted-secret", None):
            with database.write() as session:
                assert secret_store.take(session, "one") == expected
        with database.write() as session:
            assert secret_store.take(session, "two") == "another"

    def test_is_bound_to_its_name(self, database: Database) -> None:
        with database.write() as session:
            secret_store.keep(session, "one", "planted-secret")
        with database.write() as session:
            session.get_one(SystemSecret, "one").name = "two"
        with pytest.raises(SecretUnreadable), database.write() as session:
            secret_store.take(session, "two")

    def test_only_old_ones_of_the_prefix_go(self, database: Database) -> None:
        names = ("a_b-old", "a_b-new", "axb-old")
        with database.write() as session:
            for name in names:
                secret_store.keep(session, name, "x")
        now = clock.now()
        with database.write() as session:
            for name in names:
                age = timedelta(0) if name.endswith("new") else timedelta(hours=2)
                session.get_one(SystemSecret, name).updated_at = now - age
        with database.write() as session:
            secret_store.drop_older(session, "a_b-", now)
        assert secret_store.check(database, get_vault()) >= {"a_b-new", "axb-old"}
        assert "a_b-old" not in secret_store.check(database, get_vault())


class TestFingerprint:
    def test_is_keyed_and_differs_by_what_it_is_about(self, database: Database) -> None:
        with database.read() as session:
            ours = secret_store.fingerprint(session, "about", "text")
            assert ours == secret_store.fingerprint(session, "about", "text")
            others = {
                secret_store.fingerprint(session, "About", "text"),
                secret_store.fingerprint(session, "about", "Text"),
            }
        assert len(others | {ours}) == 3
        assert len(ours) == 64
        with database.write() as session:
            row = session.get_one(SystemSecret, AUDIT_KEY)
            other = base64.b64encode(b"k" * 32).decode()
            row.ciphertext = get_vault().encrypt(other, binding=secret_store.binding(AUDIT_KEY))
        with database.read() as session:
            assert secret_store.fingerprint(session, "about", "text") != ours
