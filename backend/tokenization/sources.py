"""Where a dataset lies: from its URN to an environment's connection, schema and table."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from backend.connections import environments, resolve
from backend.connections.schemas import ConnectionConfig, EnvironmentView
from backend.connections.secrets import ensure_tokenization_key
from backend.core.access import SYSTEM, Actor
from backend.core.database import Database, ReadSession
from backend.core.errors import InvalidInput, NotFound
from backend.core.settings import get_settings
from backend.integrations.databricks.client import DatabricksConfig, from_connection, from_settings
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import Dataset
from backend.integrations.datahub.urns import parse_dataset
from backend.models import TokenizationRun
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import KEYED, Scheme, Tokenizer, parse_key, parse_scheme

POSTGRES, MYSQL, DATABRICKS = "postgres", "mysql", "databricks"
#: DataHub's platforms, and the kind of connection (and engine) that leads to their tables.
PLATFORMS: Mapping[str, str] = {
    "postgres": POSTGRES,
    "mysql": MYSQL,
    "mariadb": MYSQL,
    "databricks": DATABRICKS,
}
#: How a dataset of a kind is named in its URN.
_NAMES = {POSTGRES: "<database>.<schema>.<table>", MYSQL: "<database>.<table>"}
NOT_CONFIGURED = "Databricks connection not configured"
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Source:
    """A dataset in its environment. connection None: it is not configured."""

    dataset: str
    environment: EnvironmentView
    engine: str
    table: TableName
    scheme: Scheme
    connection: ConnectionConfig | DatabricksConfig | None = field(default=None, repr=False)
    datahub: ConnectionConfig | None = field(default=None, repr=False)

    @property
    def runnable(self) -> bool:
        return self.connection is not None


def locate(session: ReadSession, *, dataset: str, environment: str | None = None) -> Source:
    """The connection a dataset is tokenized through.

    Without `environment` the default one is asked first, then the others. Raises InvalidInput
    when the URN is malformed, of another platform, or of a database nobody is connected to.
    """
    urn = parse_dataset(dataset)
    kind = PLATFORMS.get(urn.platform)
    if kind is None:
        raise InvalidInput(
            f"Datasets of the platform {urn.platform} cannot be tokenized; only those of "
            f"{', '.join(PLATFORMS)} can."
        )
    if kind == DATABRICKS:
        return _on_databricks(session, dataset, urn.name, environment)
    return _on_server(session, dataset, kind, urn.name, environment)


def locate_run(session: ReadSession, run: TokenizationRun) -> Source:
    """The connection of a run that was asked for earlier; raises what `locate` raises."""
    return locate(session, dataset=run.dataset, environment=environment_of(session, run))


def environment_of(session: ReadSession, run: TokenizationRun) -> str:
    """The present name of a run's environment, which may have another one than it had then.

    One that was deleted answers to its old name, in case it was made anew.
    """
    names = {each.id: each.name for each in environments.list_all(session, SYSTEM)}
    return names.get(run.environment_id, run.environment)


def _on_server(
    session: ReadSession, dataset: str, kind: str, name: str, environment: str | None
) -> Source:
    asked = []
    for each in _environments(session, environment):
        found = resolve.find(session, environment=each.name, kind=kind)
        if found is None:
            asked.append(f"{each.name} (no {kind} connection)")
            continue
        known = databases(found.settings)
        for database in known:
            table = split_name(name, database, schemas=kind == POSTGRES)
            if table is not None:
                there = replace(found, settings={**found.settings, "database": database})
                return _source(session, dataset, each, kind, table, there)
        asked.append(f"{each.name} ({', '.join(known)})")
    raise InvalidInput(
        f"No {kind} connection fits {name}: a dataset's name is {_NAMES[kind]}, "
        f"and the databases that are connected are: {', '.join(asked) or 'none'}."
    )


def databases(settings: Mapping[str, str]) -> tuple[str, ...]:
    """The databases of a connection: its own, and further ones on the same server."""
    named = [settings.get("database", ""), *settings.get("databases", "").split(",")]
    return tuple(dict.fromkeys(each.strip() for each in named if each.strip()))


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
            return _source(session, dataset, each, DATABRICKS, table, config)
    if first is None:
        raise InvalidInput("There is no environment yet; add one on the connections page.")
    config = from_settings(get_settings())
    return _source(session, dataset, first, DATABRICKS, table, config)


def split_name(name: str, database: str, *, schemas: bool = True) -> TableName | None:
    """`<database>.<schema>.<table>`, or without schemas `<database>.<table>`, for that database;
    else None.

    A platform instance may stand in front, and the table's own name may hold dots.
    """
    parts = name.split(".")
    if not database or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        return None
    width, behind = database.count(".") + 1, 2 if schemas else 1
    starts = [
        start
        for start in range(len(parts) - width - behind + 1)
        # DataHub's sources may write a whole name in lower case; nobody writes it in upper case.
        if ".".join(parts[start : start + width]) in (database, database.lower())
    ]
    # The reading with exactly the parts of a plain table's name behind the database wins.
    for start in sorted(starts, key=lambda start: len(parts) - start - width != behind):
        rest = parts[start + width :]
        schema = rest.pop(0) if schemas else ""
        if all(rest) and (schema or not schemas):
            return TableName(database, schema, ".".join(rest))
    return None


def name_of(dataset: str) -> str:
    """The table's name as the URN spells it; the whole URN where it cannot be read."""
    try:
        return parse_dataset(dataset).name
    except InvalidInput:
        return dataset


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
    connection: ConnectionConfig | DatabricksConfig | None,
) -> Source:
    tokenization = resolve.connection(session, environment=environment.name, kind="tokenization")
    return Source(
        dataset=dataset,
        environment=environment,
        engine=engine,
        table=table,
        scheme=parse_scheme(tokenization.settings.get("scheme")),
        connection=connection,
        datahub=resolve.find(session, environment=environment.name, kind="datahub"),
    )


def active_key(source: Source) -> str:
    """Names the table, whichever environment or URN it is reached through."""
    if isinstance(source.connection, ConnectionConfig):
        settings = source.connection.settings
        where = f"{settings.get('host')}:{settings.get('port')}"
    else:
        where = source.connection.server_hostname if source.connection else ""
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
    key = database.change(ensure_tokenization_key, actor, environment_id=source.environment.id)
    return Tokenizer(source.scheme, key, schemes or {})


def find_dataset(client: DataHubClient, dataset: str) -> Dataset | None:
    """What DataHub says about it; None when it does not know it."""
    try:
        return client.dataset(dataset)
    except NotFound:
        return None


def datahub_client(config: ConnectionConfig) -> DataHubClient:
    """DataHub of a connection; use as a context manager."""
    return DataHubClient(
        config.settings["server"],
        config.secrets.get("token"),
        frontend_url=config.settings.get("frontend_url") or None,
        timeout=float(config.settings.get("timeout") or 10),
        trust=config.trust,
    )
