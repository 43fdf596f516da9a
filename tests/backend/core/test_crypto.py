"""Secrets at rest open only with their key and in their place."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography.fernet import Fernet, InvalidToken
from hypothesis import given
from hypothesis import strategies as st

from backend.core import crypto
from backend.core.crypto import SecretUnreadable, Vault
from backend.core.errors import SettingsError
from backend.core.words import COMMAND

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
        with pytest.raises(SecretUnreadable) as refused:
            vault.decrypt(ciphertext, binding="environment 2/datahub/token")
        assert refused.value.binding == "environment 2/datahub/token"
        assert refused.value.__cause__ is None, "the key fits; it is the binding that does not"
        assert str(refused.value) == (
            "The stored secret of environment 2/datahub/token cannot be opened with the "
            "configured keys. Put the key it was written with into PORTAL_SECRET_KEYS, or set the "
            "secret again."
        )
        assert refused.value.status == 500

    def test_another_key_does_not_open_it(self) -> None:
        ciphertext = Vault([KEY]).encrypt("s", binding="b")
        with pytest.raises(SecretUnreadable) as refused:
            Vault([OTHER]).decrypt(ciphertext, binding="b")
        assert isinstance(refused.value.__cause__, InvalidToken)
        assert refused.value.binding == "b"

    def test_what_is_no_document_of_the_vault_does_not_open(self) -> None:
        foreign = Fernet(KEY).encrypt(b"not JSON").decode()
        with pytest.raises(SecretUnreadable) as refused:
            Vault([KEY]).decrypt(foreign, binding="b")
        assert isinstance(refused.value.__cause__, ValueError)
        unbound = Fernet(KEY).encrypt(b'{"v": "s"}').decode()
        with pytest.raises(SecretUnreadable) as refused:
            Vault([KEY]).decrypt(unbound, binding="b")
        assert refused.value.__cause__ is None

    def test_a_bit_changed_on_the_way_does_not_open(self) -> None:
        ciphertext = Vault([KEY]).encrypt("s", binding="b")
        changed = ciphertext[:40] + ("A" if ciphertext[40] != "A" else "B") + ciphertext[41:]
        with pytest.raises(SecretUnreadable) as refused:
            Vault([KEY]).decrypt(changed, binding="b")
        assert isinstance(refused.value.__cause__, InvalidToken)

    def test_rotation_keeps_the_binding(self) -> None:
        old = Vault([KEY]).encrypt("s", binding="b")
        with pytest.raises(SecretUnreadable) as refused:
            Vault([OTHER, KEY]).rotate(old, binding="c")
        assert refused.value.__cause__ is None

    def test_is_named_by_its_first_key(self) -> None:
        assert Vault([KEY, OTHER]).key_id == crypto.key_id(KEY)
        assert crypto.key_id("x") == hashlib.sha256(b"portal-key-id:x").hexdigest()[:8]

    def test_rotation_makes_the_old_key_unnecessary(self) -> None:
        old = Vault([KEY]).encrypt("s", binding="b")
        rotated = Vault([OTHER, KEY]).rotate(old, binding="b")
        assert Vault([OTHER]).decrypt(rotated, binding="b") == "s"

    @pytest.mark.parametrize("keys", [[], ["short"], [KEY, "not a key"]])
    def test_bad_keys_are_refused_by_number(self, keys: list[str]) -> None:
        with pytest.raises(SettingsError) as refused:
            Vault(keys)
        number = len(keys)
        form = f"key number {number} is not a Fernet key (make one with: {COMMAND} secrets new-key)"
        expected = f"PORTAL_SECRET_KEYS: {form if keys else 'no key given'}"
        assert refused.value.problems == [expected]

    def test_the_settings_keys_come_before_the_files(self, tmp_path: Path) -> None:
        (in_file,) = crypto.read_key_file(tmp_path)
        assert crypto.configured_keys(f" {KEY} ,, {OTHER}", tmp_path) == [KEY, OTHER]
        assert crypto.configured_keys(" , ", tmp_path) == [in_file]
        assert crypto.load_vault(f"{KEY},{OTHER}", tmp_path).key_id == crypto.key_id(KEY)


class TestKeyFile:
    def test_makes_its_folders(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b"
        (key,) = crypto.read_key_file(folder)
        assert (folder / "secret.key").read_text() == key + "\n"
        assert crypto.key_problems([key]) == []

    def test_a_folder_that_cannot_be_used_is_said_with_its_path(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(SettingsError) as refused:
            crypto.read_key_file(tmp_path / "file")
        assert refused.value.problems == [
            f"PORTAL_DATA_DIR: {tmp_path / 'file' / 'secret.key'} cannot be used (File exists). "
            "Name a folder that this user may write to."
        ]

    @pytest.mark.parametrize(
        "content",
        [b"", b" \n", b"not a key\n", KEY.encode() + b"\nx\n", b"\xff\xfe" + KEY.encode()],
        ids=["empty", "blank", "no key", "a key and more", "no text"],
    )
    def test_a_damaged_one_is_refused_and_kept(self, tmp_path: Path, content: bytes) -> None:
        """A new key in its place would make every stored secret unreadable."""
        path = tmp_path / crypto.KEY_FILE
        path.write_bytes(content)
        with pytest.raises(SettingsError) as refused:
            crypto.read_key_file(tmp_path)
        assert refused.value.problems == [
            f"PORTAL_DATA_DIR: {path} is damaged: it does not hold keys alone. Put back the "
            "file that was kept with the backups, or name the keys in PORTAL_SECRET_KEYS. "
            "Without them no stored secret opens."
        ]
        assert path.read_bytes() == content

    def test_keys_are_put_in_front_once_and_only_for_their_owner(self, tmp_path: Path) -> None:
        crypto.put_keys_into_file(tmp_path, [KEY])
        crypto.put_keys_into_file(tmp_path, [OTHER, KEY])
        path = tmp_path / crypto.KEY_FILE
        assert path.read_text() == f"{OTHER}\n{KEY}\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert [each.name for each in tmp_path.iterdir()] == [crypto.KEY_FILE]

    def test_a_half_written_replacement_of_before_is_written_over(self, tmp_path: Path) -> None:
        (tmp_path / "secret.key.new").write_text("x" * 500)
        crypto.put_keys_into_file(tmp_path, [KEY])
        assert (tmp_path / crypto.KEY_FILE).read_text() == f"{KEY}\n"

    def test_rights_that_are_narrow_already_are_left(self, tmp_path: Path) -> None:
        crypto.read_key_file(tmp_path)
        (tmp_path / crypto.KEY_FILE).chmod(0o400)
        crypto.read_key_file(tmp_path)
        assert (tmp_path / crypto.KEY_FILE).stat().st_mode & 0o777 == 0o400

    def test_is_made_once_and_only_for_its_owner(self, tmp_path: Path) -> None:
        first = crypto.read_key_file(tmp_path)
        # Before a second reading, which would take wide rights back.
        assert (tmp_path / crypto.KEY_FILE).stat().st_mode & 0o777 == 0o600
        assert crypto.read_key_file(tmp_path) == first

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
