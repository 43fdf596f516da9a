"""Secrets at rest open only with their key and in their place."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from backend.core import crypto
from backend.core.crypto import SecretUnreadable, Vault
from backend.core.errors import SettingsError

T = TypeVar("T")
KEY, OTHER = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def at_once(count: int, work: Callable[[], T]) -> list[T]:
    """What `work` answered to each of so many threads; each has files of its own open, as
    processes have."""
    with ThreadPoolExecutor(count) as pool:
        started = [pool.submit(work) for _ in range(count)]
        return [item.result() for item in started]


class TestVault:
    @given(value=st.text(max_size=200), binding=st.text(max_size=50))
    def test_opens_what_it_closed(self, value: str, binding: str) -> None:
        vault = Vault([KEY])
        assert vault.decrypt(vault.encrypt(value, binding=binding), binding=binding) == value

    def test_a_ciphertext_copied_to_another_place_does_not_open(self) -> None:
        vault = Vault([KEY])
        ciphertext = vault.encrypt("s", binding="environment 1/datahub/token")
        with pytest.raises(SecretUnreadable, match="environment 2"):
            vault.decrypt(ciphertext, binding="environment 2/datahub/token")

    def test_another_key_does_not_open_it(self) -> None:
        ciphertext = Vault([KEY]).encrypt("s", binding="b")
        with pytest.raises(SecretUnreadable):
            Vault([OTHER]).decrypt(ciphertext, binding="b")

    def test_rotation_makes_the_old_key_unnecessary(self) -> None:
        old = Vault([KEY]).encrypt("s", binding="b")
        rotated = Vault([OTHER, KEY]).rotate(old, binding="b")
        assert Vault([OTHER]).decrypt(rotated, binding="b") == "s"

    @pytest.mark.parametrize("keys", [[], ["short"], [KEY, "not a key"]])
    def test_bad_keys_are_refused_by_number(self, keys: list[str]) -> None:
        with pytest.raises(SettingsError, match="PORTAL_SECRET_KEYS"):
            Vault(keys)


class TestKeyFile:
    def test_is_made_once_and_only_for_its_owner(self, tmp_path: Path) -> None:
        first = crypto.read_key_file(tmp_path)
        assert crypto.read_key_file(tmp_path) == first
        assert (tmp_path / crypto.KEY_FILE).stat().st_mode & 0o777 == 0o600

    def test_processes_that_start_at_once_all_get_the_one_key(self, tmp_path: Path) -> None:
        found = at_once(8, lambda: crypto.read_key_file(tmp_path))
        assert len(found[0]) == 1
        assert found == [found[0]] * 8

    def test_rotations_at_once_lose_no_key(self, tmp_path: Path) -> None:
        """Something may be encrypted with each of them already."""
        first = crypto.read_key_file(tmp_path)
        made = at_once(8, lambda: crypto.add_key_to_file(tmp_path))
        kept = crypto.read_key_file(tmp_path)
        assert kept[-1:] == first
        assert {crypto.key_id(key) for key in kept[:-1]} == set(made)

    def test_wide_rights_are_taken_back(self, tmp_path: Path) -> None:
        crypto.read_key_file(tmp_path)
        (tmp_path / crypto.KEY_FILE).chmod(0o644)
        crypto.read_key_file(tmp_path)
        assert (tmp_path / crypto.KEY_FILE).stat().st_mode & 0o777 == 0o600

    def test_a_new_key_goes_in_front_and_old_rows_still_open(self, tmp_path: Path) -> None:
        vault = crypto.load_vault("", tmp_path)
        ciphertext = vault.encrypt("s", binding="b")
        new_id = crypto.add_key_to_file(tmp_path)
        after = crypto.load_vault("", tmp_path)
        assert after.key_id == new_id != vault.key_id
        assert after.decrypt(ciphertext, binding="b") == "s"
