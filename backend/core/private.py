"""The state folder is its owner's alone, and so is every file this process makes."""

import contextlib
import os
from pathlib import Path

from backend.core.crypto import KEY_FILE

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


def open_to_others(folder: Path) -> bool:
    """Whether people beyond its owner and group may look into the folder."""
    return bool(folder.stat().st_mode & 0o007)


def _is_ours(folder: Path) -> bool:
    mine = folder.stat().st_uid == os.geteuid()
    return mine and any((folder / name).exists() for name in _OURS)
