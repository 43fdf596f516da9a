"""How SQLite says that its file is not what it wrote, and what a person does then."""

from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError


def path_of(url: URL) -> Path | None:
    """The file behind a SQLite URL; None for servers and for a database in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).absolute()


def is_damage(exc: DBAPIError) -> bool:
    said = str(exc.orig).lower()
    return "malformed" in said or "not a database" in said


def sentence(path: str | None, found: str) -> str:
    """Damaged, where, and the way back."""
    return (
        f"The state database {path} is damaged ({found}). Stop the portal and every worker, keep "
        "the file, and put a backup back with: restore FILE --replace."
    )
