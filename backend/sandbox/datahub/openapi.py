"""The OpenAPI surface: entities v3 and the events poll."""

from typing import Any

from backend.sandbox.datahub import registry
from backend.sandbox.datahub.events import EventLog
from backend.sandbox.datahub.http import Request, Response, as_json
from backend.sandbox.datahub.refusals import Refused
from backend.sandbox.datahub.restli import require_edit, write
from backend.sandbox.datahub.search import Index
from backend.sandbox.datahub.store import Store

Json = dict[str, Any]
_ENTITY = "openapi/v3/entity/"
_NOT_ASPECTS = {"urn"}


class OpenApi:
    def __init__(self, store: Store, index: Index, events: EventLog) -> None:
        self._store = store
        self._index = index
        self._events = events

    def handle(self, request: Request) -> Response:
        """Answer a request under /openapi."""
        try:
            return self._route(request)
        except Refused as refused:
            return _refusal(refused)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            return as_json({"error": "Invalid JSON format", "message": repr(exc)}, 400)

    def _route(self, request: Request) -> Response:
        path = "/".join(request.path_parts)
        if path == "openapi/v1/events/poll" and request.method == "GET":
            return self._poll(request)
        if path.startswith(_ENTITY):
            kind, _, rest = path.removeprefix(_ENTITY).partition("/")
            match (request.method, rest):
                case ("POST", "batchGet"):
                    return self._batch_get(request)
                case ("POST" | "PATCH", ""):
                    return self._write(kind, request)
                case ("GET", urn) if urn:
                    return self._get(urn, request)
                case ("DELETE", urn) if urn:
                    require_edit(request.grant, urn)
                    self._store.delete(urn, actor=request.grant.actor)
                    return Response(200)
        raise Refused(404, f"No endpoint {request.method} {request.path}")

    def _batch_get(self, request: Request) -> Response:
        with_metadata = request.query.get("systemMetadata") == "true"
        answers = []
        for wanted in request.json():
            urn = wanted["urn"]
            registry.entity_type(urn)
            if self._store.exists(urn):
                names = [name for name in wanted if name not in _NOT_ASPECTS]
                answers.append(self._shown(urn, names, with_metadata))
        return as_json(answers)

    def _get(self, urn: str, request: Request) -> Response:
        registry.entity_type(urn)
        if not self._store.exists(urn):
            return Response(404)
        names = [name for name in request.query.get("aspects", "").split(",") if name]
        return as_json(self._shown(urn, names, request.query.get("systemMetadata") == "true"))

    def _shown(self, urn: str, names: list[str], with_metadata: bool) -> Json:
        shown: Json = {"urn": urn}
        for name, record in self._store.records(urn).items():
            if not names or name in names:
                shown[name] = {"value": record["value"]}
                if with_metadata:
                    shown[name]["systemMetadata"] = record["systemMetadata"]
        return shown

    def _write(self, kind: str, request: Request) -> Response:
        """Without `async=false` the server answers 202 first; here the write is done by then."""
        sync = request.query.get("async", "true") == "false"
        patching = request.method == "PATCH"
        answers = []
        with self._store.batch():
            for proposal in request.json():
                answers.append(self._apply(kind, proposal, patching, request))
        if patching and not sync:
            return Response(202)
        return as_json(answers, 200 if sync else 202)

    def _apply(self, kind: str, proposal: Json, patching: bool, request: Request) -> Json:
        urn = proposal["urn"]
        require_edit(request.grant, urn)
        if registry.entity_type(urn) != kind:
            raise Refused(400, f"{urn} is not of entity type {kind}")
        answer: Json = {"urn": urn}
        for name in proposal:
            if name in _NOT_ASPECTS:
                continue
            holder = proposal[name]
            value, change = holder["value"], "PATCH" if patching else "UPSERT"
            if request.query.get("createIfNotExists") == "true" and not patching:
                change = "CREATE"
            write(self._store, urn, name, change, value, request.grant, holder)
            answer[name] = {"value": value}
            headers = holder.get("headers") or {}
            if headers.get("X-DataHub-Sync-Index-Update") == "true":
                self._index.refresh(urn)
        return answer

    def _poll(self, request: Request) -> Response:
        if not request.grant.read_events:
            raise Refused(403, f"{request.grant.actor} is unauthorized to get platform events.")
        lookback = request.query.get("lookbackWindowDays")
        return as_json(
            self._events.poll(
                request.query.get("topic", ""),
                request.query.get("offsetId"),
                float(request.query.get("pollTimeoutSeconds", "10")),
                float(lookback) if lookback else None,
                int(request.query.get("limit") or 100),
            )
        )


def _refusal(refused: Refused) -> Response:
    match refused.status:
        case 403 | 404:
            return as_json({"error": refused.message}, refused.status)
        case 500:
            return as_json({"error": "Internal server error occurred"}, 500)
        case _:  # validation: 422 on rest.li is 400 here
            return as_json({"error": "Validation Error", "message": refused.message}, 400)
