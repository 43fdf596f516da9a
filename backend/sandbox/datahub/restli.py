"""The rest.li surface: aspects, proposals, entities."""

import json
from typing import Any
from urllib.parse import unquote

from backend.sandbox.datahub import registry
from backend.sandbox.datahub.http import Grant, Request, Response, as_json
from backend.sandbox.datahub.refusals import Refused
from backend.sandbox.datahub.search import Index
from backend.sandbox.datahub.store import Store

Json = dict[str, Any]
_EXCEPTION = "com.linkedin.restli.server.RestLiServiceException"


class RestLi:
    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index

    def handle(self, request: Request) -> Response:
        """Answer a request under /aspects, /entities or /entitiesV2."""
        try:
            return self._route(request)
        except Refused as refused:
            return _refusal(refused)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            return _refusal(Refused(400, f"Cannot parse the request: {exc!r}"))

    def _route(self, request: Request) -> Response:
        parts, action = request.path_parts, request.query.get("action")
        match (request.method, parts[0], action):
            case ("GET", "aspects", _) if len(parts) == 2:
                return self._aspect(parts[1], request)
            case ("POST", "aspects", "ingestProposal"):
                body = request.json()
                return self._ingest([body["proposal"]], request)
            case ("POST", "aspects", "ingestProposalBatch"):
                return self._ingest(request.json()["proposals"], request)
            case ("POST", "aspects", "getTimeseriesAspectValues"):
                return self._timeseries(request)
            case ("GET", "entitiesV2", _) if len(parts) == 2:
                return self._entity(parts[1], request)
            case ("POST", "entities", "delete"):
                return self._delete(request)
            case ("POST", "entities", "deleteReferences"):
                return as_json({"value": {"total": 0, "relatedAspects": []}})
        raise Refused(404, f"No such resource: {request.method} /{parts[0]} action={action}")

    def _aspect(self, urn: str, request: Request) -> Response:
        registry.entity_type(urn)
        name = request.query.get("aspect", "")
        record = registry.record_name(name)
        value = self._store.get(urn, name)
        if value is None or request.query.get("version", "0") != "0":
            return as_json({"status": 404}, 404)
        return as_json({"version": 0, "aspect": {record: value}})

    def _timeseries(self, request: Request) -> Response:
        """The newest value: the store keeps no earlier ones."""
        asked = request.json()
        urn, name = asked["urn"], asked["aspect"]
        registry.record_name(name)
        value = self._store.get(urn, name)
        aspect = {"value": json.dumps(value), "contentType": "application/json"}
        values = [] if value is None else [{"aspect": aspect}]
        return as_json(
            {
                "value": {
                    "entityName": asked["entity"],
                    "aspectName": name,
                    "limit": asked.get("limit", 10_000),
                    "values": values,
                }
            }
        )

    def _entity(self, urn: str, request: Request) -> Response:
        """Always has the key aspect, also for an entity that does not exist."""
        kind = registry.entity_type(urn)
        key = registry.key_aspect(kind)
        wanted = _listed(request.query.get("aspects"))
        records = self._store.records(urn)
        aspects = {
            name: {
                "name": name,
                "type": "VERSIONED",
                "version": 0,
                "value": record["value"],
                "created": record["created"],
                "systemMetadata": record["systemMetadata"],
            }
            for name, record in records.items()
            if wanted is None or name in wanted
        }
        if key not in aspects:
            aspects[key] = {
                "name": key,
                "type": "VERSIONED",
                "version": 0,
                "value": registry.key_value(urn),
                "created": {"time": 0, "actor": "urn:li:corpuser:__datahub_system"},
            }
        return as_json({"entityName": kind, "urn": urn, "aspects": aspects})

    def _ingest(self, proposals: list[Json], request: Request) -> Response:
        with self._store.batch():
            for proposal in proposals:
                self._apply(proposal, request)
        return as_json({"value": "success"})

    def _apply(self, proposal: Json, request: Request) -> None:
        urn = proposal.get("entityUrn") or ""
        require_edit(request.grant, urn)
        kind = registry.entity_type(urn)
        if proposal.get("entityType") != kind:
            raise Refused(400, f"entityType {proposal.get('entityType')} does not fit {urn}")
        aspect, change = proposal["aspectName"], proposal.get("changeType", "UPSERT")
        if change == "DELETE":
            self._store.remove_aspect(urn, aspect, actor=request.grant.actor)
            return
        value = json.loads(proposal["aspect"]["value"])
        write(self._store, urn, aspect, change, value, request.grant, proposal)
        headers = proposal.get("headers") or {}
        if headers.get("X-DataHub-Sync-Index-Update") == "true":
            self._index.refresh(urn)

    def _delete(self, request: Request) -> Response:
        urn = request.json()["urn"]
        require_edit(request.grant, urn)
        rows = self._store.delete(urn, actor=request.grant.actor)
        return as_json({"value": {"urn": urn, "rows": rows, "timeseriesRows": 0}})


def write(
    store: Store, urn: str, aspect: str, change: str, value: Any, grant: Grant, holder: Json
) -> Json:
    """One proposal of either surface: PATCH merges, everything else replaces the aspect."""
    metadata = holder.get("systemMetadata")
    if change == "PATCH":
        return store.patch(urn, aspect, value, actor=grant.actor, system_metadata=metadata)
    return store.upsert(
        urn, aspect, value, actor=grant.actor, system_metadata=metadata, change_type=change
    )


def require_edit(grant: Grant, urn: str) -> None:
    if not grant.edit_entities:
        raise Refused(
            403, f"User {grant.actor} is unauthorized to modify entity: HttpStatus: 403 Urn: {urn}"
        )


def _listed(text: str | None) -> list[str] | None:
    """`List(a,b)` → [a, b]; None when not given."""
    if not text:
        return None
    return unquote(text).removeprefix("List(").removesuffix(")").split(",")


def _refusal(refused: Refused) -> Response:
    body = {
        "exceptionClass": _EXCEPTION,
        "message": refused.message,
        "status": refused.status,
        "stackTrace": f"{_EXCEPTION} [HTTP Status:{refused.status}]",
    }
    return as_json(body, refused.status)
