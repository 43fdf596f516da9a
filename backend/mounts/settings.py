"""Which ledger and which broker: the environment's connections, then the client's own settings.

Order, for each of the two: the environment's `ledger` or `rabbitmq` connection, then DMS_DB_URL or
DMS_RABBITMQ_URL, then ~/.trilio-dms/client.conf. Without any environment only the latter count.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from backend.connections import resolve
from backend.connections.errors import NoDefaultEnvironment
from backend.connections.schemas import EnvironmentView
from backend.core import outside
from backend.core.database import ReadSession
from backend.dms import config
from backend.dms.ledger import Ledger
from backend.mounts import repository
from backend.mounts.errors import BrokerNotConfigured, LedgerNotConfigured, translated

T = TypeVar("T")

#: Seconds one query of the explorer may take on the ledger's server.
QUERY_SECONDS = 5


#: The connections that every operation goes through.
THROUGH = ("ledger", "rabbitmq")


@dataclass(frozen=True)
class DmsSettings:
    """environment: "" and id 0 when only the DMS_* settings are used."""

    environment: str
    environment_id: int
    is_production: bool
    db_url: str = field(repr=False)
    rabbitmq_url: str = field(repr=False)
    timeout: float

    def require_broker(self) -> str:
        if not self.rabbitmq_url:
            raise BrokerNotConfigured
        return self.rabbitmq_url


def find(session: ReadSession, environment: str | None) -> DmsSettings:
    """The settings of the environment (None or "": the default one).

    Raises LedgerNotConfigured, or EnvironmentNotFound for an unknown name.
    """
    where = _environment(session, environment)
    ledger = broker = ""
    if where is not None:
        ledger = _url(session, where.name, "ledger")
        broker = _url(session, where.name, "rabbitmq")
    with translated():
        effective = config.load(db_url=ledger or None, rabbitmq_url=broker or None)
    if effective.rabbitmq_url.startswith("memory:"):
        import backend.sandbox.dms_broker  # noqa: F401 - makes the scheme known to the client
    found = DmsSettings(
        environment=where.name if where else "",
        environment_id=where.id if where else 0,
        is_production=where.is_production if where else False,
        db_url=effective.db_url,
        rabbitmq_url=effective.rabbitmq_url,
        timeout=effective.timeout,
    )
    if not found.db_url:
        raise LedgerNotConfigured(found.environment)
    return found


def _environment(session: ReadSession, name: str | None) -> EnvironmentView | None:
    try:
        return resolve.environment(session, name or None)
    except NoDefaultEnvironment:
        if repository.environments(session):
            raise  # some exist: which one is meant must be said, never guessed
        return None


def _url(session: ReadSession, environment: str, kind: str) -> str:
    found = resolve.find(session, environment=environment, kind=kind)
    return resolve.url(found) if found else ""


class PortalLedger(Ledger):
    """`backend.dms.ledger.Ledger`; everything raises ClientError."""

    def __init__(self, url: str) -> None:
        with translated():
            super().__init__(url)

    def read(self, work: Callable[[Connection], T]) -> T:
        with outside.call("ledger"), translated():
            return super().read(work)

    def write(self, work: Callable[[Connection], T], *, patience: float = 0.0) -> T:
        with outside.call("ledger"), translated():
            return super().write(work, patience=patience)

    def has_operations(self) -> bool:
        with translated():
            return super().has_operations()

    def ensure_operations(self) -> None:
        with translated():
            super().ensure_operations()


_lock = threading.Lock()
_ledgers: dict[str, PortalLedger] = {}
_MOST = 16


def open_ledger(settings: DmsSettings) -> PortalLedger:
    """The process's reading connection pool for this ledger; queries are limited in time.

    Raises ClientError when it cannot be reached.
    """
    with _lock:
        known = _ledgers.get(settings.db_url)
    if known is not None:
        return known
    opened = PortalLedger(settings.db_url)
    _limit_queries(opened)
    with _lock:
        while len(_ledgers) >= _MOST:
            _ledgers.pop(next(iter(_ledgers))).close()
        return _ledgers.setdefault(settings.db_url, opened)


def forget_ledgers() -> None:
    """Close every pool (tests)."""
    with _lock:
        while _ledgers:
            _ledgers.popitem()[1].close()


def _limit_queries(ledger: PortalLedger) -> None:
    statements = {
        "postgresql": (f"SET statement_timeout = {QUERY_SECONDS * 1000}",),
        "mysql": (
            f"SET SESSION max_statement_time = {QUERY_SECONDS}",  # MariaDB
            f"SET SESSION max_execution_time = {QUERY_SECONDS * 1000}",  # MySQL
        ),
    }
    dialect = "mysql" if ledger.dialect == "mariadb" else ledger.dialect
    if dialect not in statements:
        return
    ledger.engine.dispose()  # connections made so far have no limit

    @event.listens_for(ledger.engine, "connect")
    def _limit(connection: object, _record: object) -> None:
        # mypy: a DB-API connection, whose type SQLAlchemy does not give
        with connection.cursor() as cursor:  # type: ignore[attr-defined]
            for statement in statements[dialect]:
                try:
                    cursor.execute(statement)
                    break
                except (DBAPIError, ledger.engine.dialect.loaded_dbapi.Error):
                    continue  # the other server's name for the same limit
