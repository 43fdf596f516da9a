"""Secrets at rest: MultiFernet, bound to where they belong, with rotation and a canary.

Fernet is AES-128-CBC with HMAC-SHA256, encrypt-then-MAC (ASVS 11.3.3). It takes no associated
data, so the place a secret belongs to (`binding`) is inside the plaintext and checked at
decryption: a ciphertext copied from one environment or field to another does not open.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from backend.core.errors import PortalError, SettingsError
from backend.core.words import COMMAND, not_ours

KEY_FILE = "secret.key"
#: Marks a column that holds ciphertext (`mapped_column(Text, info=SEALED)`): whoever owns its table
#: brings the function that puts it under a new key.
SEALED = {"sealed": True}


class SecretUnreadable(PortalError):
    """A stored secret does not open with the configured keys."""

    status = 500

    def __init__(self, binding: str) -> None:
        super().__init__(
            f"The stored secret of {binding} cannot be opened with the configured keys. "
            "Put the key it was written with into PORTAL_SECRET_KEYS, or set the secret again."
        )
        self.binding = binding


class Vault:
    """Encrypts with the first key and opens with any of them."""

    def __init__(self, keys: list[str]) -> None:
        problems = key_problems(keys) if keys else ["PORTAL_SECRET_KEYS: no key given"]
        if problems:
            raise SettingsError(problems)
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self.key_id = key_id(keys[0])

    def encrypt(self, value: str, *, binding: str) -> str:
        """Ciphertext of `value`, tied to `binding` (for example "environment 3/datahub/token")."""
        document = json.dumps({"b": binding, "v": value})
        return self._fernet.encrypt(document.encode()).decode()

    def decrypt(self, ciphertext: str, *, binding: str) -> str:
        """The value; raises SecretUnreadable when the key or the binding is another one."""
        try:
            document = json.loads(self._fernet.decrypt(ciphertext.encode()))
        except (InvalidToken, ValueError) as exc:
            raise SecretUnreadable(binding) from exc
        if document.get("b") != binding:
            raise SecretUnreadable(binding)
        return str(document["v"])

    def rotate(self, ciphertext: str, *, binding: str) -> str:
        """The same value under the first key; raises SecretUnreadable."""
        return self.encrypt(self.decrypt(ciphertext, binding=binding), binding=binding)


def key_problems(keys: list[str]) -> list[str]:
    """What is wrong with the keys' form, a sentence per key that is none."""
    return [
        f"PORTAL_SECRET_KEYS: key number {number} is not a Fernet key "
        f"(make one with: {COMMAND} secrets new-key)"
        for number, key in enumerate(keys, 1)
        if not _is_key(key)
    ]


def key_id(key: str) -> str:
    """Eight characters that name a key without telling anything about it."""
    return hashlib.sha256(b"portal-key-id:" + key.encode()).hexdigest()[:8]


def load_vault(secret_keys: str, data_dir: Path) -> Vault:
    """The vault for the settings; without keys in the environment a 0600 file holds them."""
    return Vault(configured_keys(secret_keys, data_dir))


def configured_keys(secret_keys: str, data_dir: Path) -> list[str]:
    """The keys in force, newest first: the environment's, else the key file's."""
    return listed_keys(secret_keys) or read_key_file(data_dir)


def listed_keys(secret_keys: str) -> list[str]:
    """The keys of the comma separated setting."""
    return [key.strip() for key in secret_keys.split(",") if key.strip()]


def read_key_file(data_dir: Path) -> list[str]:
    """Keys of the key file, newest first; the file is made when there is none.

    Raises SettingsError when the folder or the file cannot be used.
    """
    path = data_dir / KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with _alone(data_dir):
            _made_once(path)
            keys = path.read_bytes().decode("ascii", "replace").split()
    except OSError as exc:
        todo = "Name a folder that this user may write to."
        if isinstance(exc, PermissionError):
            todo = not_ours(data_dir)
        raise SettingsError(
            [f"PORTAL_DATA_DIR: {path} cannot be used ({exc.strerror}). {todo}"]
        ) from exc
    if not keys or not all(map(_is_key, keys)):
        raise SettingsError(
            [
                f"PORTAL_DATA_DIR: {path} is damaged: it does not hold keys alone. Put back the "
                "file that was kept with the backups, or name the keys in PORTAL_SECRET_KEYS. "
                "Without them no stored secret opens."
            ]
        )
    return keys


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One process at a time: nobody reads a key file that is being made, and of two that add a
    key neither loses the other's, under which something may be encrypted already. The lock is on
    the folder, since the file is replaced, and it dies with its process.
    """
    descriptor = os.open(data_dir, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _made_once(path: Path) -> None:
    """A new key in a new file of its owner alone; a file that is there is kept and closed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    else:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(Fernet.generate_key().decode() + "\n")


def add_key_to_file(data_dir: Path) -> str:
    """Put a new key in front of the key file; returns its id. Older keys still open old rows."""
    read_key_file(data_dir)
    new = Fernet.generate_key().decode()
    put_keys_into_file(data_dir, [new])
    return key_id(new)


def put_keys_into_file(data_dir: Path, keys: list[str]) -> None:
    """Put keys in front of the key file; those that are there already stay, behind them."""
    with _alone(data_dir):
        _put_keys(data_dir, keys)


def _put_keys(data_dir: Path, keys: list[str]) -> None:
    path = data_dir / KEY_FILE
    old = path.read_text().split() if path.exists() else []
    keys = [*keys, *(key for key in old if key not in keys)]
    replacement = data_dir / (KEY_FILE + ".new")
    descriptor = os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write("\n".join(keys) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    replacement.replace(path)


def _is_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True
