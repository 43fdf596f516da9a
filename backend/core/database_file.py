"""How SQLite says that its file is not what it wrote, and what a person does then."""

import contextlib
import sqlite3
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

_OURS = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"


def path_of(url: URL) -> Path | None:
    """The file behind a SQLite URL; None for servers and for a database in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).absolute()


def may_be_ours(path: Path) -> bool:
    """Whether the file may hold a state: opening another program's as ours would change how it
    keeps its log. A damaged one may; who opens it says so."""
    if not path.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as looked:
            return bool(looked.execute(_OURS).fetchone()[0])
    except sqlite3.Error:
        return True


def is_damage(exc: DBAPIError) -> bool:
    said = str(exc.orig).lower()
    return "malformed" in said or "not a database" in said


def sentence(path: str | None, found: str) -> str:
    """Damaged, where, and the way back."""
    return (
        f"The state database {path} is damaged ({found}). Stop the portal and every worker, keep "
        "the file, and put a backup back with: restore FILE --replace."
    )
