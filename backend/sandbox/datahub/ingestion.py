"""Ingestion sources and their runs: an executor that only pretends to work, on the clock."""

import json
import time
import uuid
from typing import Any

from graphql import GraphQLResolveInfo

from backend.sandbox.datahub.mutations import UNAUTHORIZED, save
from backend.sandbox.datahub.refusals import Refused
from backend.sandbox.datahub.store import Store

Json = dict[str, Any]
Info = GraphQLResolveInfo

_SOURCE = "urn:li:dataHubIngestionSource:"
_REQUEST = "urn:li:dataHubExecutionRequest:"
_FINAL = {"SUCCESS", "FAILURE", "CANCELLED", "TIMEOUT"}


class Executor:
    """Runs end `seconds` after their start, as `outcomes` says per source, else in SUCCESS.

    A run is brought up to date whenever somebody looks at it.
    """

    def __init__(self, store: Store, seconds: float = 2.0) -> None:
        self._store = store
        self.seconds = seconds
        self.outcomes: dict[str, str] = {}

    def resolvers(self) -> dict[str, Any]:
        return {
            "listIngestionSources": self._list,
            "ingestionSource": self._one,
            "executionRequest": self._request,
            "createIngestionSource": self._create_source,
            "createIngestionExecutionRequest": self._run,
            "cancelIngestionExecutionRequest": self._cancel,
        }

    def _list(self, info: Info, input: Json) -> Json:
        _require(info)
        start, count = input.get("start") or 0, input.get("count") or 20
        word = (input.get("query") or "*").strip("*").lower()
        found = [
            urn
            for urn in self._store.urns("dataHubIngestionSource")
            if word in str((self._source(urn)).get("name", "")).lower()
        ]
        here = found[start : start + count]
        return {
            "start": start,
            "count": len(here),
            "total": len(found),
            "ingestionSources": [self._shown_source(urn) for urn in here],
        }

    def _one(self, info: Info, urn: str) -> Json | None:
        _require(info)
        return self._shown_source(urn) if self._source(urn) else None

    def _request(self, _info: Info, urn: str) -> Json | None:
        return self._shown_request(urn) if self._store.exists(urn) else None

    def _create_source(self, info: Info, input: Json) -> str:
        _require(info)
        urn = f"{_SOURCE}{uuid.uuid4()}"
        extra = {each["key"]: each.get("value") for each in input["config"].get("extraArgs") or ()}
        config = input["config"] | {"extraArgs": extra}
        value = {"name": input["name"], "type": input["type"], "config": config}
        if input.get("schedule"):
            value["schedule"] = input["schedule"]
        save(info, urn, "dataHubIngestionSourceInfo", value)
        return urn

    def _run(self, info: Info, input: Json) -> str:
        _require(info)
        source = input["ingestionSourceUrn"]
        config = self._source(source).get("config")
        if not config or not config.get("recipe"):
            raise Refused(400, f"Failed to find ingestion source with urn {source}")
        urn = f"{_REQUEST}{uuid.uuid4()}"
        request = {
            "task": "RUN_INGEST",
            "args": {"recipe": config["recipe"], "version": config.get("version") or "1.7.0"},
            "executorId": config.get("executorId") or "default",
            "source": {"type": "MANUAL_INGESTION_SOURCE", "ingestionSource": source},
            "requestedAt": _now(),
            "actorUrn": info.context.grant.actor,
        }
        save(info, urn, "dataHubExecutionRequestInput", request)
        return urn

    def _cancel(self, info: Info, input: Json) -> str:
        _require(info)
        urn = input["executionRequestUrn"]
        if not self._store.exists(urn):
            raise Refused(400, f"Failed to find execution request with urn {urn}")
        stamp = {"time": _now(), "actor": info.context.grant.actor}
        save(info, urn, "dataHubExecutionRequestSignal", {"signal": "KILL", "createdAt": stamp})
        return str(urn)

    def _shown_source(self, urn: str) -> Json:
        found = self._source(urn)
        kept = found["config"].get("extraArgs") or {}
        extra = [{"key": name, "value": value} for name, value in kept.items()]
        return {
            "urn": urn,
            "name": found["name"],
            "type": found["type"],
            "platform": None,
            "schedule": found.get("schedule"),
            "config": found["config"] | {"extraArgs": extra},
            "executions": lambda _info, start=0, count=10: self._executions(urn, start, count),
        }

    def _executions(self, source: str, start: int, count: int) -> Json:
        runs = [
            (request["requestedAt"], urn)
            for urn in self._store.urns("dataHubExecutionRequest")
            if (request := self._store.get(urn, "dataHubExecutionRequestInput"))
            and request["source"].get("ingestionSource") == source
        ]
        newest = [urn for _, urn in sorted(runs, reverse=True)]
        return {
            "start": start,
            "count": count,
            "total": len(newest),
            "executionRequests": [
                self._shown_request(urn) for urn in newest[start : start + count]
            ],
        }

    def _shown_request(self, urn: str) -> Json:
        self._advance(urn)
        given = self._store.get(urn, "dataHubExecutionRequestInput") or {}
        return {
            "__typename": "ExecutionRequest",
            "urn": urn,
            "type": "EXECUTION_REQUEST",
            "id": urn.removeprefix(_REQUEST),
            "input": {
                "task": given["task"],
                "requestedAt": given["requestedAt"],
                "executorId": given["executorId"],
                "arguments": [{"key": k, "value": v} for k, v in given["args"].items()],
                "source": {"type": given["source"]["type"]},
            },
            "result": self._store.get(urn, "dataHubExecutionRequestResult"),
        }

    def _advance(self, urn: str) -> None:
        """Write the result that the executor would have written by now."""
        request = self._store.get(urn, "dataHubExecutionRequestInput")
        result = self._store.get(urn, "dataHubExecutionRequestResult") or {}
        if request is None or result.get("status") in _FINAL:
            return
        waited = (_now() - request["requestedAt"]) / 1000
        started = min(request["requestedAt"] + int(self.seconds * 100), _now())
        if self._store.get(urn, "dataHubExecutionRequestSignal"):
            self._finish(urn, started, "CANCELLED")
        elif waited >= self.seconds:
            source = request["source"].get("ingestionSource") or ""
            self._finish(urn, started, self.outcomes.get(source, "SUCCESS"))
        elif waited >= self.seconds / 10 and not result:
            running = {"status": "RUNNING", "startTimeMs": started, "report": "Starting…"}
            self._store.upsert(urn, "dataHubExecutionRequestResult", running)

    def _finish(self, urn: str, started: int, status: str) -> None:
        report = json.dumps({"source": {"report": {"events_produced": 12}}})
        self._store.upsert(
            urn,
            "dataHubExecutionRequestResult",
            {
                "status": status,
                "startTimeMs": started,
                "durationMs": max(0, _now() - started),
                "report": f"~~~~ Execution Summary - RUN_INGEST ~~~~\nExecution finished: {status}",
                "structuredReport": {
                    "type": "CLI_INGEST",
                    "serializedValue": report,
                    "contentType": "application/json",
                },
            },
        )

    def _source(self, urn: str) -> Json:
        return self._store.get(urn, "dataHubIngestionSourceInfo") or {}


def _require(info: Info) -> None:
    if not info.context.grant.manage_ingestion:
        raise Refused(403, UNAUTHORIZED)


def _now() -> int:
    return int(time.time() * 1000)
