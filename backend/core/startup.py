"""What every process does before it works: schema, canary, audit key."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend.core import database_file, secret_store
from backend.core.crypto import Vault
from backend.core.database import Database
from backend.core.errors import PortalError, SettingsError
from backend.core.words import COMMAND

#: The newest migration. Kept here so that a process on a current database starts without
#: importing Alembic; tests/architecture checks it against the migrations themselves.
SCHEMA_REVISION = "0035_change_texts"


class NoState(PortalError):
    """Nobody makes a second state by mistake: it would print tokens that the portal never knows."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"There is no state of the portal at {place}. If the portal runs, start this command "
            "with the portal's own PORTAL_DATA_DIR and PORTAL_DATABASE_URL. To make a new state "
            f"there: {COMMAND} init (or add --create to a command)."
        )


def prepare(database: Database, vault: Vault) -> None:
    """Check the keys, bring the schema up to date, make the portal's own secrets.

    Raises SettingsError (wrong keys, newer schema); nothing is changed then.
    """
    revision = _revision(database)
    if revision is not None:
        secret_store.check(database, vault)
    if revision != SCHEMA_REVISION:
        from backend.migrations import runner

        if revision is not None and not knows(revision):
            raise SettingsError(
                [
                    f"PORTAL_DATABASE_URL: the state database is at revision {revision}, which "
                    "this version of the portal does not know. Start the newer version again, or "
                    "restore the backup that was made before the upgrade."
                ]
            )
        runner.upgrade(database)
    secret_store.ensure(database, vault)


def exists(database: Database) -> bool:
    """Whether there is a state of the portal; looking makes none. Raises SettingsError."""
    file = database_file.path_of(database.engine.url)
    return (file is None or database_file.may_be_ours(file)) and _revision(database) is not None


def require(database: Database) -> None:
    """Raise NoState where no state of the portal is; nothing is made."""
    if not exists(database):
        raise NoState(place(database))


def place(database: Database) -> str:
    """Where that state is or would be: the file, or the server's address without its password."""
    url = database.engine.url
    return str(database_file.path_of(url) or url.render_as_string(hide_password=True))


def knows(revision: str) -> bool:
    """Whether this version of the portal can work with a database of that revision."""
    if revision == SCHEMA_REVISION:
        return True
    from backend.migrations import runner

    return runner.knows(revision)


def damage(database: Database) -> str:
    """What SQLite's own check finds wrong with the file, in a sentence; "" for a sound one and for
    servers, which look after their files themselves."""
    if database.engine.dialect.name != "sqlite":
        return ""
    try:
        with database.engine.connect() as connection:
            found = connection.execute(text("PRAGMA quick_check(3)")).scalars().all()
    except DBAPIError as exc:
        if not database_file.is_damage(exc):
            raise
        found = [str(exc.orig)]
    if found == ["ok"]:
        return ""
    return database_file.sentence(database.engine.url.database, "; ".join(map(str, found))[:300])


def _revision(database: Database) -> str | None:
    try:
        with database.engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DBAPIError as exc:
        if _is_missing_table(exc):
            return None
        raise SettingsError([_unusable(database, exc)]) from exc


def _unusable(database: Database, exc: DBAPIError) -> str:
    url = database.engine.url
    if database_file.is_damage(exc):
        return database_file.sentence(database.engine.url.database, str(exc.orig))
    if url.get_backend_name() == "sqlite":
        return (
            f"PORTAL_DATA_DIR or PORTAL_DATABASE_URL: the state database {url.database} cannot be "
            f"used ({exc.orig}). Check that its folder exists and this user may write there."
        )
    return (
        f"PORTAL_DATABASE_URL: the state database cannot be used ({type(exc.orig).__name__}). "
        "Check that the server runs, the database exists and the account may use it."
    )


def _is_missing_table(exc: DBAPIError) -> bool:
    message = str(exc.orig).lower()
    return "alembic_version" in message and any(
        word in message for word in ("no such table", "does not exist", "doesn't exist")
    )
