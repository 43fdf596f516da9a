"""The state folder is its owner's alone, and so is every file this process makes."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from backend.core.crypto import KEY_FILE
from backend.core.errors import PortalError, SettingsError
from backend.core.log import get_logger
from backend.core.words import not_ours

LOCK_FILE = "portal.lock"
log = get_logger(__name__)

#: What shows that a folder is the portal's own, so that PORTAL_DATA_DIR=/tmp shuts nobody out.
_OURS = (KEY_FILE, "portal.sqlite", "audit.checkpoint", "sandbox")


def umask() -> None:
    """New files are 0600 and new folders 0700 from now on; for the start of a process."""
    os.umask(0o077)


def state_folder(folder: Path) -> None:
    """Make the folder with mode 0700, or close one of an older version to other people.

    A folder that is somebody else's, or holds nothing of the portal, stays as it is. What cannot
    be made is said by whoever writes there first.
    """
    with contextlib.suppress(OSError):
        if not folder.exists():
            folder.mkdir(parents=True, mode=0o700)
        elif open_to_others(folder) and _is_ours(folder):
            folder.chmod(0o700)


def require_writable(folder: Path) -> None:
    """Raises SettingsError that names the command to run for a folder of somebody else's: with keys
    and state elsewhere the portal would start and lose what it keeps there."""
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError([f"PORTAL_DATA_DIR: it cannot be written to. {not_ours(folder)}"])


class FolderInUse(PortalError):
    """Two portals would start one embedded PostgreSQL twice on the same files."""

    status = 503

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"PORTAL_DATA_DIR: another portal runs on {folder.absolute()}. Stop it first, or give "
            "this one a data folder of its own; more processes for jobs are `worker`s."
        )


@contextlib.contextmanager
def only_portal(folder: Path) -> Iterator[None]:
    """Hold the data folder for this portal; raises FolderInUse."""
    os.close(os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600))
    with held(folder / LOCK_FILE) as ours:
        if not ours:
            raise FolderInUse(folder)
        yield


@contextlib.contextmanager
def held(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """A file or folder locked against other processes, or False. The lock dies with its process."""
    # NFS locks a file only for who may write it.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        except OSError as exc:  # some network file systems know no locks
            log.info("There is no lock on this file system.", path=str(path), reason=str(exc))
        yield True
    finally:
        os.close(descriptor)


def open_to_others(folder: Path) -> bool:
    """Whether people beyond its owner and group may look into the folder."""
    return bool(folder.stat().st_mode & 0o007)


def _is_ours(folder: Path) -> bool:
    mine = folder.stat().st_uid == os.geteuid()
    return mine and any((folder / name).exists() for name in _OURS)
