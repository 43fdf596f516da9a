"""Observation a dataset by words instead of by its URN."""

from dataclasses import dataclass

from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.ingestion import run_context
from backend.ingestion.catalog import Catalog


@dataclass(frozen=True)
class Hit:
    urn: str
    name: str
    platform: str


def find_datasets(
    database: Database,
    actor: Actor,
    *,
    text: str,
    environment: str | None = None,
    limit: int = 20,
) -> tuple[Hit, ...]:
    """Datasets that DataHub's search finds. Raises NotFound without a DataHub connection."""
    access.require(actor, Permission.INGESTION_READ)
    with database.read() as session:
        catalog = Catalog(run_context.load(session, environment).datahub)
    page = catalog.client().search_datasets(text, count=max(1, min(limit, 100)))
    return tuple(Hit(hit.urn, hit.name, hit.platform) for hit in page.items)
