"""Reading entities: existence, a dataset, search, scroll, structured properties."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from backend.core.errors import InvalidInput, NotFound, TooMuch
from backend.integrations.datahub import operations, parse, urns
from backend.integrations.datahub.gateway import Gateway
from backend.integrations.datahub.schemas import ColumnLineage, Dataset, SearchPage, Writers

_NEIGHBOURS = 100  # of a dataset, in either direction
#: Jobs that write one dataset, of which a person picks one; each costs the server a search.
MAX_WRITERS = 50
_SEARCH_WINDOW = 10_000  # DataHub's index answers no page beyond it


class ReadCalls:
    """Part of DataHubClient."""

    _gateway: Gateway

    def exists(self, urn: str) -> bool:
        """Whether DataHub has this entity. Raises InvalidInput for what is no URN."""
        kind = urns.entity_type(urn)
        return self._gateway.read(lambda graph: _exists(graph, urn, kind))

    def dataset(self, urn: str) -> Dataset:
        """The dataset with fields, tags, links. Raises NotFound when DataHub does not have it."""
        urns.parse_dataset(urn)
        found = self._gateway.query(operations.DATASET, {"urn": urn}).get("dataset")
        if not found or found.get("exists") is False:
            raise NotFound(f"DataHub has no dataset {urn}.")
        return parse.dataset(found)

    def datasets(self, dataset_urns: Sequence[str]) -> dict[str, Dataset]:
        """Those of the datasets that DataHub has, with tags and fields only, in one query."""
        return self._many(operations.datasets_with_fields, dataset_urns)

    def datasets_with_links(self, dataset_urns: Sequence[str]) -> dict[str, Dataset]:
        """Those of the datasets that DataHub has, with their tags and links only, in one query."""
        return self._many(operations.datasets_with_links, dataset_urns)

    def _many(
        self, operation: Callable[[int], str], dataset_urns: Sequence[str]
    ) -> dict[str, Dataset]:
        found = self._gateway.query(
            operation(len(dataset_urns)),
            {f"u{number}": urn for number, urn in enumerate(dataset_urns)},
        )
        known = (each for each in found.values() if each and each.get("exists") is not False)
        return {each["urn"]: parse.dataset(each) for each in known}

    def search_datasets(self, query: str = "*", *, start: int = 0, count: int = 20) -> SearchPage:
        """A page of datasets by text. Raises TooMuch past the first 10,000 results."""
        if start + count > _SEARCH_WINDOW:
            raise TooMuch(f"DataHub shows the first {_SEARCH_WINDOW:,} results. Narrow the search.")
        data = self._gateway.query(
            operations.SEARCH_DATASETS,
            {
                "input": {
                    "types": ["DATASET"],
                    "query": query.strip() or "*",
                    "start": start,
                    "count": count,
                }
            },
        )
        page = data["searchAcrossEntities"]
        return SearchPage(
            start=page["start"],
            count=page["count"],
            total=page["total"],
            items=tuple(parse.hit(each["entity"]) for each in page["searchResults"]),
        )

    def datasets_with_tag(
        self, tag_urn: str, *, limit: int = 1000, page_size: int = 100
    ) -> Iterator[str]:
        """URNs of datasets that carry the tag, themselves or on a field; at most `limit`.

        Scrolls, so it sees past the search window. The index follows a write by some seconds.
        """
        return self._scroll("tags", tag_urn, limit, page_size)

    def datasets_with_column(self, path: str, *, limit: int = 100) -> Iterator[str]:
        """URNs of datasets that have a field at exactly this path; at most `limit`."""
        return self._scroll("fieldPaths", path, limit, 100)

    def column_lineage(self, dataset_urn: str) -> ColumnLineage:
        """The columns one step up and down of a dataset's, and its siblings.

        Nothing for a dataset that DataHub does not have.
        """
        found = self._gateway.query(
            operations.COLUMN_LINEAGE, {"urn": dataset_urn, "count": _NEIGHBOURS}
        ).get("dataset")
        if not found or found.get("exists") is False:
            return ColumnLineage()
        return parse.column_lineage(found)

    def _scroll(self, name: str, value: str, limit: int, page_size: int) -> Iterator[str]:
        scroll_id: str | None = None
        left = limit
        while left > 0:
            page = self._scrolled_page(name, value, min(page_size, left), scroll_id)
            results = page["searchResults"]
            for each in results[:left]:
                yield each["entity"]["urn"]
            left -= len(results)
            scroll_id = page.get("nextScrollId")
            if not scroll_id or not results:
                return

    def data_job_structured_property(
        self, job_urn: str, property_urn: str
    ) -> tuple[str | float, ...]:
        """Values of one structured property of a data job; () when it is unset."""
        urns.parse_data_job(job_urn)
        aspect = self._gateway.read(lambda graph: _raw_aspect(graph, job_urn))
        for assignment in aspect.get("properties") or []:
            if assignment.get("propertyUrn") == property_urn:
                return parse.aspect_values(assignment)
        return ()

    def writers(self, dataset_urn: str) -> Writers:
        """The data jobs that write a dataset, at most 50, each with its last run.

        Raises NotFound for a dataset that DataHub does not have.
        """
        urns.parse_dataset(dataset_urn)
        direct = {"field": "degree", "condition": "EQUAL", "values": ["1"]}
        lineage = {
            "urn": dataset_urn,
            "direction": "UPSTREAM",
            "types": ["DATA_JOB"],
            "query": "*",
            "start": 0,
            "count": MAX_WRITERS,
            "orFilters": [{"and": [direct]}],
            "searchFlags": {"skipHighlighting": True, "skipAggregates": True, "skipCache": True},
        }
        found = self._gateway.query(operations.WRITERS, {"urn": dataset_urn, "lineage": lineage})
        dataset = found.get("dataset")
        if not dataset or dataset.get("exists") is False:
            raise NotFound(f"DataHub has no dataset {dataset_urn}.")
        return parse.writers(found)

    def _scrolled_page(
        self, name: str, value: str, count: int, scroll_id: str | None
    ) -> dict[str, Any]:
        equal = {"field": name, "condition": "EQUAL", "values": [value]}
        wanted = {
            "types": ["DATASET"],
            "query": "*",
            "count": count,
            "scrollId": scroll_id,
            "orFilters": [{"and": [equal]}],
            "searchFlags": {"skipHighlighting": True, "skipAggregates": True, "skipCache": True},
        }
        page: dict[str, Any] = self._gateway.query(operations.SCROLL_URNS, {"input": wanted})[
            "scrollAcrossEntities"
        ]
        return page


def _exists(graph: Any, urn: str, kind: str) -> bool:
    from datahub.metadata.schema_classes import KEY_ASPECTS

    if kind not in KEY_ASPECTS:
        raise InvalidInput(f"DataHub has no entities of type {kind!r} ({urn}).")
    return bool(graph.exists(urn))


def _raw_aspect(graph: Any, urn: str) -> dict[str, Any]:
    """The structured properties as JSON: the typed reader fails on fields of newer servers."""
    entity = graph.get_entity_raw(urn, ["structuredProperties"])
    value: dict[str, Any] = (
        (entity.get("aspects") or {}).get("structuredProperties", {}).get("value", {})
    )
    return value
