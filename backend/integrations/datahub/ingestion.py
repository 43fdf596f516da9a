"""Ingestion sources that DataHub runs itself: list, start, follow, cancel."""

from backend.core.errors import NotFound
from backend.integrations.datahub import operations, parse
from backend.integrations.datahub.gateway import Gateway
from backend.integrations.datahub.schemas import (
    ExecutionRequest,
    IngestionSourcePage,
    SourceWithRecipe,
)


class IngestionCalls:
    """Part of DataHubClient. Needs the privilege to manage metadata ingestion."""

    _gateway: Gateway

    def list_ingestion_sources(
        self, *, start: int = 0, count: int = 20, query: str = "*"
    ) -> IngestionSourcePage:
        """A page of sources, each with its last run."""
        data = self._gateway.query(
            operations.LIST_INGESTION_SOURCES,
            {"input": {"start": start, "count": count, "query": query}},
        )
        page = data.get("listIngestionSources") or {}
        return IngestionSourcePage(
            start=page.get("start") or 0,
            count=page.get("count") or 0,
            total=page.get("total") or 0,
            items=tuple(
                parse.ingestion_source(each) for each in page.get("ingestionSources") or []
            ),
        )

    def ingestion_source(self, source_urn: str) -> SourceWithRecipe:
        """A source with what it would run now. Raises NotFound for one that DataHub has not."""
        found = self._gateway.query(operations.INGESTION_SOURCE, {"urn": source_urn})
        source = found.get("ingestionSource")
        if not source:
            raise NotFound(f"DataHub has no ingestion source {source_urn[:200]}.")
        return parse.source_with_recipe(source)

    def create_execution_request(self, source_urn: str) -> str:
        """Ask DataHub to run the source now; the URN of the run. Not safe to repeat blindly."""
        data = self._gateway.mutate(
            operations.CREATE_EXECUTION_REQUEST, {"input": {"ingestionSourceUrn": source_urn}}
        )
        return str(data["createIngestionExecutionRequest"])

    def execution_request(self, urn: str) -> ExecutionRequest:
        """How a run stands. Raises NotFound for one that DataHub does not have."""
        found = self._gateway.query(operations.EXECUTION_REQUEST, {"urn": urn})
        request = found.get("executionRequest")
        if not request:
            raise NotFound(f"DataHub has no ingestion run {urn}.")
        return parse.execution_request(request)

    def cancel_execution_request(self, source_urn: str, request_urn: str) -> None:
        """Ask the executor to stop; the run's status says later whether it did."""
        self._gateway.mutate(
            operations.CANCEL_EXECUTION_REQUEST,
            {"input": {"ingestionSourceUrn": source_urn, "executionRequestUrn": request_urn}},
        )
