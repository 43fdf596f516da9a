"""What ingestion asks DataHub: does it exist, which tags, which state machine does a job name."""

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from backend.connections.schemas import ConnectionConfig
from backend.core.errors import NotFound
from backend.core.trust import Trust
from backend.ingestion.schemas import Existence

if TYPE_CHECKING:
    from backend.integrations.datahub.client import DataHubClient
    from backend.integrations.datahub.schemas import Dataset

#: A dataset that was there a minute ago is taken to be there; one that was not is asked again.
REMEMBER_SECONDS = 60.0


class Catalog:
    """DataHub behind a connection, or nothing when there is none. Errors are DataHub's own."""

    def __init__(self, config: ConnectionConfig | None) -> None:
        self._config = config
        self._tags: dict[str, tuple[str, ...]] = {}

    def know(self, datasets: Iterable["Dataset"]) -> None:
        """Keep the tags of datasets that were read just now, so that they are not read again."""
        self._tags = {dataset.urn: dataset.tags for dataset in datasets}

    @property
    def connected(self) -> bool:
        return self._config is not None

    def client(self) -> "DataHubClient":
        """Raises NotFound without a DataHub connection."""
        if self._config is None:
            raise NotFound(
                "This environment has no DataHub connection. Add one on the Connections page."
            )
        return client_for(self._config)

    def existence(self, urn: str) -> Existence:
        """exists, missing, or unchecked without a DataHub connection."""
        if self._config is None:
            return "unchecked"
        key = (self._config.settings.get("server", ""), self._config.version, urn)
        if _recently.get(key, 0.0) > time.monotonic():
            return "exists"
        if not self.client().exists(urn):
            return "missing"
        _remember(key)
        return "exists"

    def tags(self, dataset_urn: str) -> tuple[str, ...] | None:
        """The dataset's tags, () for one that DataHub does not know; None without a connection."""
        if self._config is None:
            return None
        if dataset_urn in self._tags:
            return self._tags[dataset_urn]
        # Not the whole dataset: its fields, which may be thousands, cost more than all else here.
        found = self.client().datasets_with_links([dataset_urn])
        return next((dataset.tags for dataset in found.values()), ())

    def job_property(self, job_urn: str, property_urn: str) -> tuple[str, ...] | None:
        """The values of a job's structured property; None without a connection."""
        if self._config is None:
            return None
        values = self.client().data_job_structured_property(job_urn, property_urn)
        return tuple(str(value) for value in values)


_recently: dict[tuple[str, int, str], float] = {}


def _remember(key: tuple[str, int, str]) -> None:
    if len(_recently) > 10_000:
        _recently.clear()
    _recently[key] = time.monotonic() + REMEMBER_SECONDS


def forget() -> None:
    """Drop what is remembered (tests)."""
    _recently.clear()
    _client.cache_clear()


def client_for(config: ConnectionConfig) -> "DataHubClient":
    """A shared client: its connections to the server stay open between requests."""
    return _client(
        config.settings.get("server", ""),
        config.secrets.get("token", ""),
        config.settings.get("frontend_url", ""),
        float(config.settings.get("timeout") or 10),
        config.trust,
    )


@lru_cache(maxsize=16)
def _client(
    server: str, token: str, frontend_url: str, timeout: float, trust: Trust
) -> "DataHubClient":
    from backend.integrations.datahub.client import DataHubClient

    return DataHubClient(
        server, token or None, frontend_url=frontend_url or None, timeout=timeout, trust=trust
    )
