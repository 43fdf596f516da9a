"""Words in sentences for people: counted ones, lists of names, and commands to copy."""

import os
from collections.abc import Sequence
from pathlib import Path

#: How a sentence starts a command that its reader copies: from the portal's folder it just runs.
COMMAND = ".venv/bin/python -m backend"


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 mount is", "2 mounts are": the number and its words; `many` is `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def named(names: Sequence[str], most: int = 3) -> str:
    """ "a, b, c and 4 more": the first few by name."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


#: The colour of each status word, the same on a page and at a terminal; grey where none is named.
STATUS_COLOURS: dict[str, str] = {
    **dict.fromkeys(
        (
            *("ok", "connected", "succeeded", "applied", "mounted", "done", "enabled", "valid"),
            *("over", "sent"),
        ),
        "green",
    ),
    **dict.fromkeys(
        (
            *("running", "accepted", "queued", "info", "approved"),
            *("planning", "under way", "in_flight", "asking", "tagged", "likely"),
        ),
        "blue",
    ),
    **dict.fromkeys(
        (
            *("warning", "conflict", "interrupted", "stale", "waiting", "refused"),
            *("partial", "stopped", "pending", "drifted", "possible"),
        ),
        "orange",
    ),
    **dict.fromkeys(("failed", "error", "rejected", "blocked"), "red"),
    "unknown": "violet",
    **dict.fromkeys(
        (
            *("withdrawn", "expired", "cancelled", "skipped", "disabled", "revoked", "ended"),
            *("unmounted", "not tried", "nothing to do", "dropped"),
        ),
        "gray",
    ),
}


def not_ours(folder: Path) -> str:
    """What to do about a folder that this process may not write to: whose it is, and the command
    that makes it ours. Of one that is not there the nearest above it is meant."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    own = f"{os.geteuid()}:{os.getegid()}"
    owner = folder.stat()
    if owner.st_uid == os.geteuid():
        return f"Make {folder} writable for its owner: chmod 700 {folder}"
    return (
        f"{folder} belongs to {owner.st_uid}:{owner.st_gid} and this process is {own}. As root on "
        f"the machine that holds it: chown -R {own} {folder}"
    )
