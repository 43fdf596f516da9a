"""Where a dataset lies: from its URN to an environment's connection, schema and table."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from backend.connections import environments, resolve
from backend.connections.schemas import ConnectionConfig, EnvironmentView
from backend.connections.secrets import ensure_tokenization_key
from backend.core.access import SYSTEM, Actor
from backend.core.database import Database, ReadSession
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings
from backend.integrations.databricks.client import DatabricksConfig, from_connection, from_settings
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.urns import parse_dataset
from backend.models import TokenizationRun
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import KEYED, Scheme, Tokenizer, parse_key, parse_scheme

POSTGRES = "postgres"
DATABRICKS = "databricks"
NOT_CONFIGURED = "Databricks connection not configured"
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Source:
    """A dataset in its environment. databricks None: that connection is not configured."""

    dataset: str
    environment: EnvironmentView
    engine: str
    table: TableName
    scheme: Scheme
    postgres: ConnectionConfig | None = field(default=None, repr=False)
    databricks: DatabricksConfig | None = field(default=None, repr=False)
    datahub: ConnectionConfig | None = field(default=None, repr=False)

    @property
    def runnable(self) -> bool:
        return self.postgres is not None or self.databricks is not None


def locate(session: ReadSession, *, dataset: str, environment: str | None = None) -> Source:
    """The connection a dataset is tokenized through.

    Without `environment` the default one is asked first, then the others. Raises InvalidInput
    when the URN is malformed, of another platform, or of a database nobody is connected to.
    """
    urn = parse_dataset(dataset)
    if urn.platform == POSTGRES:
        return _on_postgres(session, dataset, urn.name, environment)
    if urn.platform == DATABRICKS:
        return _on_databricks(session, dataset, urn.name, environment)
    raise InvalidInput(
        f"Datasets of the platform {urn.platform} cannot be tokenized; only postgres and "
        "databricks can."
    )


def locate_run(session: ReadSession, run: TokenizationRun) -> Source:
    """The connection of a run that was asked for earlier; raises what `locate` raises."""
    return locate(session, dataset=run.dataset, environment=environment_of(session, run))


def environment_of(session: ReadSession, run: TokenizationRun) -> str:
    """The present name of a run's environment, which may have another one than it had then.

    One that was deleted answers to its old name, in case it was made anew.
    """
    names = {each.id: each.name for each in environments.list_all(session, SYSTEM)}
    return names.get(run.environment_id, run.environment)


def _on_postgres(session: ReadSession, dataset: str, name: str, environment: str | None) -> Source:
    asked = []
    for each in _environments(session, environment):
        found = resolve.find(session, environment=each.name, kind=POSTGRES)
        if found is None:
            asked.append(f"{each.name} (no postgres connection)")
            continue
        database = found.settings.get("database", "")
        table = split_name(name, database)
        if table is not None:
            return _source(session, dataset, each, POSTGRES, table, postgres=found)
        asked.append(f"{each.name} ({database})")
    raise InvalidInput(
        f"No postgres connection fits {name}: a dataset's name is <database>.<schema>.<table>, "
        f"and the databases that are connected are: {', '.join(asked) or 'none'}."
    )


def _on_databricks(
    session: ReadSession, dataset: str, name: str, environment: str | None
) -> Source:
    parts = name.split(".")
    if len(parts) < 3 or not all(parts):
        raise InvalidInput(f"{name} is not <catalog>.<schema>.<table>.")
    table = TableName(*parts[-3:])
    first = None
    for each in _environments(session, environment):
        first = first or each
        found = resolve.find(session, environment=each.name, kind=DATABRICKS)
        config = from_connection(found.settings, found.secrets) if found else None
        if config is not None and config.catalog in ("", table.database):
            return _source(session, dataset, each, DATABRICKS, table, databricks=config)
    if first is None:
        raise InvalidInput("There is no environment yet; add one on the connections page.")
    config = from_settings(get_settings())
    return _source(session, dataset, first, DATABRICKS, table, databricks=config)


def split_name(name: str, database: str) -> TableName | None:
    """`<database>.<schema>.<table>` for that database, or None.

    A platform instance may stand in front, and the table's own name may hold dots.
    """
    parts = name.split(".")
    if not database or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        return None
    width = database.count(".") + 1
    starts = [
        start
        for start in range(len(parts) - width - 1)
        # DataHub's sources may write a whole name in lower case; nobody writes it in upper case.
        if ".".join(parts[start : start + width]) in (database, database.lower())
    ]
    # The reading with exactly <schema>.<table> behind the database wins.
    for start in sorted(starts, key=lambda start: len(parts) - start - width != 2):
        schema, *table = parts[start + width :]
        if schema and all(table):
            return TableName(database, schema, ".".join(table))
    return None


def _environments(session: ReadSession, name: str | None) -> Iterator[EnvironmentView]:
    if name:
        yield resolve.environment(session, name)
        return
    yield from environments.list_all(session, SYSTEM)


def _source(
    session: ReadSession,
    dataset: str,
    environment: EnvironmentView,
    engine: str,
    table: TableName,
    *,
    postgres: ConnectionConfig | None = None,
    databricks: DatabricksConfig | None = None,
) -> Source:
    tokenization = resolve.connection(session, environment=environment.name, kind="tokenization")
    return Source(
        dataset=dataset,
        environment=environment,
        engine=engine,
        table=table,
        scheme=parse_scheme(tokenization.settings.get("scheme")),
        postgres=postgres,
        databricks=databricks,
        datahub=resolve.find(session, environment=environment.name, kind="datahub"),
    )


def active_key(source: Source) -> str:
    """Names the table, whichever environment or URN it is reached through."""
    if source.postgres is not None:
        settings = source.postgres.settings
        where = f"{settings.get('host')}:{settings.get('port')}"
    else:
        where = source.databricks.server_hostname if source.databricks else ""
    return hashlib.sha256(f"{source.engine}|{where}|{source.table!r}".encode()).hexdigest()


def column_schemes(source: Source, schemes: Mapping[str, str]) -> dict[str, Scheme]:
    """Schemes that were asked for by column. Raises InvalidInput: only keyed ones go together."""
    found = {column: parse_scheme(text) for column, text in schemes.items()}
    if found and not (source.scheme.keyed and all(scheme.keyed for scheme in found.values())):
        known = ", ".join(scheme.value for scheme in KEYED)
        raise InvalidInput(
            f"A scheme can be chosen by column among the keyed ones ({known}), in an environment "
            f"with a keyed scheme; that of {source.environment.name} is {source.scheme.value}."
        )
    return found


def tokenizer(
    database: Database,
    actor: Actor,
    source: Source,
    schemes: Mapping[str, Scheme] | None = None,
) -> Tokenizer:
    """The environment's scheme and key, which is made at its first use; schemes: by column."""
    if not source.scheme.keyed:
        return Tokenizer(source.scheme)
    with database.read() as session:
        found = resolve.connection(
            session, environment=source.environment.name, kind="tokenization"
        ).secrets.get("key")
    if found:
        return Tokenizer(source.scheme, parse_key(found), schemes or {})
    with database.write() as session:
        key = ensure_tokenization_key(session, actor, environment_id=source.environment.id)
    return Tokenizer(source.scheme, key, schemes or {})


def datahub_client(config: ConnectionConfig) -> DataHubClient:
    """DataHub of a connection; use as a context manager."""
    return DataHubClient(
        config.settings["server"],
        config.secrets.get("token"),
        frontend_url=config.settings.get("frontend_url") or None,
        timeout=float(config.settings.get("timeout") or 10),
        trust=config.trust,
    )
