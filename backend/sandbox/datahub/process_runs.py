"""Jobs that write datasets and the runs of both, as the stand-in's GraphQL answers about them."""

from typing import Any

from backend.sandbox.datahub import registry
from backend.sandbox.datahub.refusals import Refused
from backend.sandbox.datahub.search import graphql_type
from backend.sandbox.datahub.store import Store

Json = dict[str, Any]
_KIND = "dataProcessInstance"


class DataProcessInstance:
    """A run, as the classes of `nodes` are for other entities."""

    __typename = "DataProcessInstance"

    def __init__(self, store: Store, urn: str) -> None:
        self._store = store
        self.urn = urn
        self.type = graphql_type(_KIND)

    @property
    def exists(self) -> bool:
        return self._store.exists(self.urn)

    @property
    def name(self) -> str | None:
        return (self._aspect("dataProcessInstanceProperties") or {}).get("name")

    @property
    def created(self) -> Json | None:
        return (self._aspect("dataProcessInstanceProperties") or {}).get("created")

    @property
    def externalUrl(self) -> str | None:
        return (self._aspect("dataProcessInstanceProperties") or {}).get("externalUrl")

    def state(self, _info: Any, limit: int | None = None, **_times: int) -> list[Json]:
        """The newest event; the store keeps no earlier ones."""
        event = self._aspect("dataProcessInstanceRunEvent")
        if event is None or limit == 0:
            return []
        result = event.get("result")
        return [
            {
                "status": event["status"],
                "attempt": event.get("attempt"),
                "timestampMillis": event["timestampMillis"],
                "durationMillis": event.get("durationMillis"),
                "result": result
                and {
                    "resultType": result["type"],
                    "nativeResultType": result["nativeResultType"],
                },
            }
        ]

    def _aspect(self, name: str) -> Json | None:
        return self._store.get(self.urn, name)

    def relationships(self, _info: Any, input: Json) -> Json:
        """Only what a run is an instance of."""
        if input["types"] != ["InstanceOf"] or input["direction"] != "OUTGOING":
            raise Refused(400, "The stand-in knows only what a run is an instance of")
        found = self._aspect("dataProcessInstanceRelationships") or {}
        parent = found.get("parentTemplate")
        edges = [parent] if parent else []
        return {
            "start": 0,
            "count": len(edges),
            "total": len(edges),
            "relationships": [
                {
                    "type": "InstanceOf",
                    "direction": "OUTGOING",
                    "entity": _named(each),
                }
                for each in edges
            ],
        }


def _named(urn: str) -> Json:
    """What a run is an instance of, by its name alone."""
    kind = registry.entity_type(urn)
    return {"__typename": kind[0].upper() + kind[1:], "urn": urn, "type": graphql_type(kind)}


def of_dataset(store: Store, urn: str, direction: str, start: int, count: int) -> Json:
    """Runs that read (INCOMING) or wrote a dataset, newest first."""
    aspect, field = (
        ("dataProcessInstanceInput", "inputs")
        if direction == "INCOMING"
        else ("dataProcessInstanceOutput", "outputs")
    )
    return _page(
        store, [u for u in store.urns(_KIND) if urn in _list(store, u, aspect, field)], start, count
    )


def of_job(store: Store, urn: str, start: int, count: int) -> Json:
    """Runs of a data job, newest first."""
    relationships = "dataProcessInstanceRelationships"
    found = [
        u
        for u in store.urns(_KIND)
        if (store.get(u, relationships) or {}).get("parentTemplate") == urn
    ]
    return _page(store, found, start, count)


def outputs(store: Store, job: str) -> list[str]:
    edges = (store.get(job, "dataJobInputOutput") or {}).get("outputDatasetEdges") or []
    return [
        *_list(store, job, "dataJobInputOutput", "outputDatasets"),
        *(each["destinationUrn"] for each in edges),
    ]


def _list(store: Store, urn: str, aspect: str, field: str) -> list[str]:
    return list((store.get(urn, aspect) or {}).get(field) or [])


def _page(store: Store, found: list[str], start: int, count: int) -> Json:
    def created(urn: str) -> int:
        properties = store.get(urn, "dataProcessInstanceProperties") or {}
        return int((properties.get("created") or {}).get("time") or 0)

    found.sort(key=created, reverse=True)
    here = found[start : start + count]
    return {
        "start": start,
        "count": len(here),
        "total": len(found),
        "runs": [DataProcessInstance(store, urn) for urn in here],
    }
