"""The event log: what DataHub puts on Kafka for a change, and the HTTP poll over it."""

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from backend.sandbox.datahub.refusals import Refused
from backend.sandbox.datahub.store import Change

Json = dict[str, Any]

CHANGE_LOG = "MetadataChangeLog_Versioned_v1"
PLATFORM_EVENTS = "PlatformEvent_v1"
_TOPICS = {CHANGE_LOG, PLATFORM_EVENTS, "MetadataChangeLog_Timeseries_v1"}
_KEPT = 10_000
_PAGE = 100
_LONGEST_POLL = 30.0


@dataclass(frozen=True)
class _Tagging:
    """A tag on the entity itself (field None) or on one of its schema fields."""

    tag: str
    field: str | None
    context: str


class EventLog:
    """Keeps the last events per topic. Offsets are opaque: "<log>:<number>"."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: dict[str, deque[tuple[int, Json]]] = {
            topic: deque(maxlen=_KEPT) for topic in _TOPICS
        }
        self._next: dict[str, int] = dict.fromkeys(_TOPICS, 0)
        self._log_id = uuid.uuid4().hex[:8]
        self._closed = False

    def record(self, change: Change) -> None:
        """Listener of the store."""
        with self._changed:
            self._append(CHANGE_LOG, change.time, _change_log(change))
            for name, payload in _platform_events(change):
                message = {
                    "header": {"timestampMillis": change.time},
                    "name": name,
                    "payload": _json_payload(payload),
                }
                self._append(PLATFORM_EVENTS, change.time, message)
            self._changed.notify_all()

    def poll(
        self,
        topic: str,
        offset: str | None,
        wait: float,
        lookback_days: float | None = None,
        limit: int = _PAGE,
    ) -> Json:
        """Events after `offset`, or from now on without one; waits up to `wait` seconds."""
        if topic not in _TOPICS:
            raise Refused(400, f"Topic {topic} is not available")
        deadline = time.monotonic() + min(wait, _LONGEST_POLL)
        with self._changed:
            position = self._position(topic, offset, lookback_days)
            while not self._closed and position >= self._next[topic]:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            found = [
                event
                for number, event in zip(self._numbers(topic), self._events[topic], strict=True)
                if number >= position
            ][: max(1, min(limit, _PAGE))]
            if found:
                position = max(position, self._numbers(topic).start) + len(found)
        return {
            "offsetId": f"{self._log_id}:{position}",
            "count": len(found),
            "events": [
                {"contentType": "application/json", "value": json.dumps(event)}
                for _, event in found
            ],
        }

    def close(self) -> None:
        """Let waiting polls return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _append(self, topic: str, at: int, event: Json) -> None:
        self._events[topic].append((at, event))
        self._next[topic] += 1

    def _numbers(self, topic: str) -> range:
        end = self._next[topic]
        return range(end - len(self._events[topic]), end)

    def _position(self, topic: str, offset: str | None, lookback_days: float | None) -> int:
        oldest = self._numbers(topic).start
        if offset:
            log_id, _, number = offset.partition(":")
            # An offset of an earlier run: everything since the start is new to that reader.
            return int(number) if log_id == self._log_id and number.isdigit() else oldest
        if lookback_days:
            since = (time.time() - lookback_days * 86_400) * 1000
            older = sum(1 for at, _ in self._events[topic] if at < since)
            return oldest + older
        return self._next[topic]


def _change_log(change: Change) -> Json:
    return {
        "entityType": change.entity_type,
        "entityUrn": change.urn,
        "changeType": change.change_type,
        "aspectName": change.aspect,
        "aspect": None if change.after is None else _json_payload(change.after),
        "systemMetadata": change.system_metadata or None,
        "previousAspectValue": None if change.before is None else _json_payload(change.before),
        "previousSystemMetadata": change.previous_system_metadata,
        "created": {"time": change.time, "actor": change.actor},
    }


def _platform_events(change: Change) -> Iterator[tuple[str, Json]]:
    """A change event and a relationship event per tag added or removed."""
    before, after = (
        set(_taggings(change.aspect, change.before)),
        set(_taggings(change.aspect, change.after)),
    )
    by_key_before = {(each.tag, each.field) for each in before}
    by_key_after = {(each.tag, each.field) for each in after}
    for operation, some, other in (
        ("REMOVE", before, by_key_after),
        ("ADD", after, by_key_before),
    ):
        seen: set[tuple[str, str | None]] = set()
        for tagging in sorted(some, key=lambda each: (each.field or "", each.tag)):
            key = (tagging.tag, tagging.field)
            if key in other or key in seen:
                continue
            seen.add(key)
            yield "entityChangeEvent", _entity_change(change, tagging, operation)
            yield "relationshipChangeEvent", _relationship_change(change, tagging, operation)


def _taggings(aspect: str, value: Json | None) -> Iterator[_Tagging]:
    if value is None:
        return
    if aspect == "globalTags":
        yield from _of(value, None)
    elif aspect == "editableSchemaMetadata":
        for info in value.get("editableSchemaFieldInfo") or []:
            yield from _of(info.get("globalTags") or {}, info["fieldPath"])
    elif aspect == "schemaMetadata":
        for field in value.get("fields") or []:
            yield from _of(field.get("globalTags") or {}, field["fieldPath"])


def _of(tags: Json, field: str | None) -> Iterator[_Tagging]:
    for association in tags.get("tags") or []:
        yield _Tagging(association["tag"], field, association.get("context") or "{}")


def _entity_change(change: Change, tagging: _Tagging, operation: str) -> Json:
    if tagging.field is None:
        urn, kind = change.urn, change.entity_type
        parameters = {"tagUrn": tagging.tag, "context": tagging.context, "sourceDetails": "{}"}
    else:
        path = quote(
            tagging.field, safe="".join(chr(c) for c in range(33, 127) if c not in b"(),%")
        )
        urn, kind = f"urn:li:schemaField:({change.urn},{path})", "schemaField"
        parameters = {
            "fieldPath": tagging.field,
            "parentUrn": change.urn,
            "tagUrn": tagging.tag,
            "context": tagging.context,
        }
    return {
        "entityUrn": urn,
        "entityType": kind,
        "category": "TAG",
        "operation": operation,
        "modifier": tagging.tag,
        "parameters": parameters,
        "auditStamp": {"time": change.time, "actor": change.actor},
        "version": 0,
    }


def _relationship_change(change: Change, tagging: _Tagging, operation: str) -> Json:
    names = {
        "globalTags": "TaggedWith",
        "editableSchemaMetadata": "EditableSchemaFieldTaggedWith",
        "schemaMetadata": "SchemaFieldTaggedWith",
    }
    return {
        "sourceUrn": change.urn,
        "destinationUrn": tagging.tag,
        "operation": operation,
        "relationshipType": names[change.aspect],
        "auditStamp": {"time": change.time, "actor": change.actor},
    }


def _json_payload(value: Json) -> Json:
    return {"value": json.dumps(value), "contentType": "application/json"}
