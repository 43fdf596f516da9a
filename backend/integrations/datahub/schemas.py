"""What the adapter hands out and takes: frozen, plain, no SDK types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MISSING_CLIENT_ID = "MISSING_SERVER_ID"


@dataclass(frozen=True)
class Probe:
    """What a successful connection test saw. user_urn: who the token is."""

    server_version: str | None
    server_config: dict[str, Any]
    user_urn: str


@dataclass(frozen=True)
class ClientInfo:
    """The server's telemetry identity and configuration.

    client_id is MISSING_CLIENT_ID on a server without the telemetry aspect. server_id is what the
    SDK calls by that name: the same value.
    """

    client_id: str
    server_id: str
    frontend_base_url: str | None
    server_config: dict[str, Any]


@dataclass(frozen=True)
class Link:
    """A link in a dataset's documentation; DataHub knows it by url and label together."""

    url: str
    label: str
    created_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True)
class Field:
    """A schema field. Ingested tags come with the schema, editable ones from people and tools."""

    path: str
    type: str
    native_type: str | None = None
    nullable: bool = False
    description: str | None = None
    editable_description: str | None = None
    ingested_tags: tuple[str, ...] = ()
    editable_tags: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """Both kinds, each once."""
        return tuple(dict.fromkeys(self.ingested_tags + self.editable_tags))


@dataclass(frozen=True)
class Dataset:
    """A dataset as DataHub shows it. `description` was ingested, `editable_description` typed."""

    urn: str
    name: str
    platform: str
    origin: str
    removed: bool = False
    description: str | None = None
    editable_description: str | None = None
    custom_properties: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    links: tuple[Link, ...] = ()
    structured_properties: dict[str, tuple[str | float, ...]] = field(default_factory=dict)

    def field(self, path: str) -> Field | None:
        """The field at exactly this path."""
        return next((each for each in self.fields if each.path == path), None)

    @property
    def field_tags(self) -> dict[str, tuple[str, ...]]:
        """Tags by field path, fields without tags left out."""
        return {each.path: each.tags for each in self.fields if each.tags}

    @property
    def field_terms(self) -> dict[str, tuple[str, ...]]:
        """Glossary terms by field path, ingested and editable ones."""
        return {each.path: each.terms for each in self.fields if each.terms}


@dataclass(frozen=True)
class ColumnRef:
    """A column of a dataset by its field path."""

    dataset: str
    path: str


@dataclass(frozen=True)
class ColumnLineage:
    """edges: (upstream, downstream) columns around one dataset. complete: no neighbour left out."""

    edges: tuple[tuple[ColumnRef, ColumnRef], ...] = ()
    siblings: tuple[str, ...] = ()
    complete: bool = True


@dataclass(frozen=True)
class DatasetPatch:
    """A wished change of one dataset; whatever is not named stays as it is.

    custom_properties: a value of None removes the key. editable_description: the whole new text,
    None leaves it alone.
    """

    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    add_field_tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remove_field_tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    custom_properties: Mapping[str, str | None] = field(default_factory=dict)
    editable_description: str | None = None


@dataclass(frozen=True)
class DatasetHit:
    """One search result."""

    urn: str
    name: str
    platform: str
    description: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchPage:
    """One page of search results; `total` counts all of them."""

    start: int
    count: int
    total: int
    items: tuple[DatasetHit, ...]


@dataclass(frozen=True)
class ProcessRun:
    """A run as DataHub knows it. result: SUCCESS, FAILURE, SKIPPED, UP_FOR_RETRY; "" until then."""

    urn: str
    at: datetime | None = None
    result: str = ""
    running: bool = False
    duration_ms: int | None = None


@dataclass(frozen=True)
class WritingJob:
    """A data job whose output is a dataset. latest: the dataset's last run was one of this job."""

    urn: str
    name: str
    flow: str
    orchestrator: str
    last_run: ProcessRun | None = None
    latest: bool = False


@dataclass(frozen=True)
class Writers:
    """The job of the dataset's last run first, then by name; total counts those not read, too."""

    jobs: tuple[WritingJob, ...]
    total: int


@dataclass(frozen=True)
class ExecutionRequest:
    """One run of an ingestion source. status: "PENDING" until an executor takes it."""

    urn: str
    task: str
    requested_at: datetime | None
    status: str
    started_at: datetime | None = None
    duration_ms: int | None = None
    report: str | None = None


@dataclass(frozen=True)
class IngestionSource:
    """An ingestion source kept in DataHub, without its recipe, which may hold passwords."""

    urn: str
    name: str
    type: str
    schedule: str | None = None
    executor_id: str | None = None
    last_execution: ExecutionRequest | None = None


@dataclass(frozen=True)
class SourceWithRecipe:
    """What a source would run now. recipe, extra: its text and what else the executor is given,
    which may hold passwords; version: of DataHub's command, "" for the executor's own."""

    source: IngestionSource
    recipe: str = field(repr=False)
    version: str
    debug: bool
    extra: Mapping[str, str | None] = field(repr=False)


@dataclass(frozen=True)
class IngestionSourcePage:
    start: int
    count: int
    total: int
    items: tuple[IngestionSource, ...]
