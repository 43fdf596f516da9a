"""What a request must know before it asks anybody outside: one short read of the state."""

import threading
from dataclasses import dataclass

from backend.connections import resolve as connections
from backend.connections.errors import EnvironmentDeleted, NoDefaultEnvironment
from backend.connections.schemas import ConnectionConfig
from backend.core.database import ReadSession
from backend.core.settings import get_settings
from backend.ingestion import repository, static_mapping
from backend.ingestion.ruleset import RuleSet
from backend.ingestion.static_mapping import StaticMapping
from backend.integrations.aws.config import AwsConfig, from_connection
from backend.models.ingestion import IngestionRun

NO_ENVIRONMENT = 0


@dataclass(frozen=True)
class RunContext:
    """An environment as ingestion sees it. environment_id 0: none is configured at all, and only
    the mapping of the environment variables and boto3's own credentials are there."""

    environment_id: int
    environment: str
    is_production: bool
    datahub: ConnectionConfig | None
    aws: AwsConfig
    portal: RuleSet
    static: StaticMapping
    job_property_urn: str

    @property
    def reports_runs(self) -> bool:
        """Whether DataHub is told of runs: a setting of its connection, off by default."""
        return self.datahub is not None and self.datahub.settings.get("report_runs") == "on"

    @property
    def sources(self) -> tuple[RuleSet, RuleSet, RuleSet]:
        """In the order in which they are asked."""
        return (self.portal, self.static.env, self.static.file)


def load(session: ReadSession, environment: str | None = None) -> RunContext:
    """The context of an environment, or of the default one; of none only where there is none,
    for a run without would pass by the policies of those that are there.

    Raises NotFound for an environment that does not exist, or when none is the default.
    """
    try:
        view = connections.environment(session, environment)
    except NoDefaultEnvironment:
        if connections.names(session):
            raise
        return _without()
    settings = get_settings()
    configured = connections.find(session, kind="aws", environment=view.name)
    return RunContext(
        environment_id=view.id,
        environment=view.name,
        is_production=view.is_production,
        datahub=connections.find(session, kind="datahub", environment=view.name),
        aws=from_connection(
            configured.settings if configured else {},
            configured.secrets if configured else {},
            default_region=settings.lambda_region,
        ),
        portal=portal_rules(session, view.id),
        static=static_mapping.load(settings),
        job_property_urn=settings.job_arn_property_urn,
    )


def _without() -> RunContext:
    settings = get_settings()
    return RunContext(
        environment_id=NO_ENVIRONMENT,
        environment="",
        is_production=False,
        datahub=None,
        aws=from_connection({}, {}, default_region=settings.lambda_region),
        portal=RuleSet("portal"),
        static=static_mapping.load(settings),
        job_property_urn=settings.job_arn_property_urn,
    )


def of_run(session: ReadSession, run: IngestionRun) -> RunContext:
    """The context of the environment that a run was started in, whatever it is called by now: its
    old name may have gone to another one, with another AWS account.

    Raises EnvironmentDeleted.
    """
    name = name_of(session, run)
    return load(session, name) if name else _without()


def name_of(session: ReadSession, run: IngestionRun) -> str:
    """What a run's environment is called now, "" for none. Raises EnvironmentDeleted."""
    if run.environment_id == NO_ENVIRONMENT:
        return ""
    found = connections.names(session).get(run.environment_id)
    if found is None:
        raise EnvironmentDeleted
    return found


_lock = threading.Lock()
_indexes: dict[tuple[str, int], tuple[int, RuleSet]] = {}


def portal_rules(session: ReadSession, environment_id: int) -> RuleSet:
    """The environment's rules, indexed; read again only when their revision has moved."""
    key = (str(session.get_bind().engine.url), environment_id)
    revision = repository.revision(session, environment_id)
    with _lock:
        known = _indexes.get(key)
    if known is not None and known[0] == revision:
        return known[1]
    built = RuleSet.of("portal", repository.load_rules(session, environment_id))
    with _lock:
        _indexes[key] = (revision, built)
    return built
