"""Secrets of the environment that stand in files, as orchestrators hand them over."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, urlsplit

#: URL → its password, for who keeps the two apart.
_PASSWORDS = {
    "PORTAL_DATABASE_URL": "PORTAL_DATABASE_PASSWORD",
    "PORTAL_BROKER_URL": "PORTAL_BROKER_PASSWORD",
}


def read(source: dict[str, str], names: Iterable[str]) -> list[str]:
    """Put what the file of NAME_FILE holds into `source` as NAME; what is wrong with them."""
    problems = []
    for name in names:
        path = source.get(f"{name}_FILE")
        if not path:
            continue
        if source.get(name):
            problems.append(f"{name}_FILE: {name} is set, too; keep one of them")
            continue
        try:
            source[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
            problems.append(f"{name}_FILE: {path} cannot be read: {reason}")
    return problems


def complete_urls(source: dict[str, str]) -> list[str]:
    """Put the passwords that stand apart into the URLs in `source`; what is wrong with them."""
    problems = []
    for url, name in _PASSWORDS.items():
        if not source.get(name):
            continue
        try:
            parts = urlsplit(source.get(url, ""))
        except ValueError:
            continue  # the URL's own check says so
        if not parts.username or parts.password is not None:
            problems.append(f"{name}: {url} must name a user, and no password of its own")
            continue
        user, _, place = parts.netloc.rpartition("@")
        netloc = f"{user}:{quote(source[name], safe='')}@{place}"
        source[url] = parts._replace(netloc=netloc).geturl()
    return problems


def check_database_url(value: str) -> None:
    """Said here, because SQLAlchemy's own errors would come up in the middle of a start.

    Raises ValueError.
    """
    if not value:
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        # Loads the driver too: mysql:// without one means a package that is not installed.
        make_url(value).get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as exc:
        raise ValueError(
            "must be a URL like postgresql+psycopg2://user:password@host/database, "
            "mysql+pymysql://… or sqlite:////folder/file, or be empty"
        ) from exc
