"""What the stand-in remembers: aspects by URN, with DataHub's rules for writing them."""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.sandbox.datahub import patch, registry
from backend.sandbox.datahub.refusals import Refused

Json = dict[str, Any]

DEFAULT_ACTOR = "urn:li:corpuser:datahub"
_SDK_METADATA: Json = {"runId": "no-run-id-provided", "lastRunId": "no-run-id-provided"}


@dataclass(frozen=True)
class Change:
    """One aspect that differs from before; before or after is None when it was not, or is gone."""

    urn: str
    aspect: str
    before: Json | None
    after: Json | None
    change_type: str
    actor: str
    time: int
    system_metadata: Json
    previous_system_metadata: Json | None

    @property
    def entity_type(self) -> str:
        return registry.entity_type(self.urn)


class Store:
    """Thread-safe; every write is validated, stamped, told to the listeners and saved."""

    def __init__(self, state_file: Path | None = None) -> None:
        self.lock = threading.RLock()
        self._entities: dict[str, dict[str, Json]] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._state_file = state_file
        self._batch = 0
        self._dirty = False
        #: Answer patches as servers before the object form do: 500 to anything but an array.
        self.only_array_patches = False
        if state_file is not None and state_file.exists():
            self._entities = json.loads(state_file.read_text(encoding="utf-8"))

    def listen(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)

    def urns(self, kind: str | None = None) -> list[str]:
        with self.lock:
            prefix = f"urn:li:{kind}:" if kind else ""
            return [urn for urn in self._entities if urn.startswith(prefix)]

    def record(self, urn: str, aspect: str) -> Json | None:
        """The stored record: value, version, created, systemMetadata."""
        with self.lock:
            return self._entities.get(urn, {}).get(aspect)

    def records(self, urn: str) -> dict[str, Json]:
        with self.lock:
            return dict(self._entities.get(urn, {}))

    def get(self, urn: str, aspect: str) -> Json | None:
        """The value of one aspect. Treat it as read-only."""
        found = self.record(urn, aspect)
        return None if found is None else found["value"]

    def exists(self, urn: str) -> bool:
        with self.lock:
            return urn in self._entities

    @contextmanager
    def batch(self) -> Iterator[None]:
        """All writes inside are one: saved once, not interleaved with others."""
        with self.lock:
            self._batch += 1
            try:
                yield
            finally:
                self._batch -= 1
                self._save()

    def upsert(
        self,
        urn: str,
        aspect: str,
        value: Json,
        *,
        actor: str = DEFAULT_ACTOR,
        system_metadata: Json | None = None,
        change_type: str = "UPSERT",
    ) -> Json:
        """Write one aspect; the value as stored. Raises Refused when DataHub would."""
        kind = registry.entity_type(urn)
        registry.require_valid(kind, aspect, value)
        with self.batch():
            if change_type == "CREATE" and self.get(urn, aspect) is not None:
                raise Refused(422, f"Cannot perform CREATE since the aspect {aspect} exists")
            if change_type == "CREATE_ENTITY" and self.exists(urn):
                raise Refused(422, f"Cannot perform CREATE_ENTITY since {urn} exists already")
            if aspect == "structuredProperties":
                self._require_properties(kind, value)
            if not self.exists(urn):
                self._create(urn, kind, aspect, actor)
            self._put(urn, aspect, value, actor, system_metadata or {}, "UPSERT")
        return value

    def patch(
        self,
        urn: str,
        aspect: str,
        document: Any,
        *,
        actor: str = DEFAULT_ACTOR,
        system_metadata: Json | None = None,
    ) -> Json:
        """Apply DataHub's PATCH to one aspect; the merged value."""
        registry.entity_type(urn)
        registry.record_name(aspect)
        with self.batch():
            stamp = {"time": _now(), "actor": actor}
            merged = patch.apply(
                aspect,
                self.get(urn, aspect),
                document,
                stamp,
                only_arrays=self.only_array_patches,
            )
            return self.upsert(urn, aspect, merged, actor=actor, system_metadata=system_metadata)

    def remove_aspect(self, urn: str, aspect: str, *, actor: str = DEFAULT_ACTOR) -> None:
        """Forget one aspect; the whole entity when it is the key aspect."""
        if aspect == registry.key_aspect(registry.entity_type(urn)):
            self.delete(urn, actor=actor)
            return
        with self.batch():
            old = self._entities.get(urn, {}).pop(aspect, None)
            if old is not None:
                self._tell(urn, aspect, old, None, "DELETE", actor, {})

    def delete(self, urn: str, *, actor: str = DEFAULT_ACTOR) -> int:
        """Forget the entity; how many aspects it had."""
        key = registry.key_aspect(registry.entity_type(urn))
        with self.batch():
            aspects = self._entities.pop(urn, None)
            if aspects is None:
                return 0
            self._tell(urn, key, aspects.get(key), None, "DELETE", actor, {})
        return len(aspects)

    def _create(self, urn: str, kind: str, first: str, actor: str) -> None:
        """The first write to a URN adds its key aspect and the defaults."""
        self._entities[urn] = {}
        key = registry.key_aspect(kind)
        if first != key:
            self._put(urn, key, registry.key_value(urn), actor, {}, "UPSERT")
        if kind == "dataset":
            platform = registry.key_value(urn)["platform"]
            self._put(urn, "browsePathsV2", {"path": [{"id": "Default"}]}, actor, {}, "UPSERT")
            self._put(urn, "dataPlatformInstance", {"platform": platform}, actor, {}, "UPSERT")

    def _put(
        self, urn: str, aspect: str, value: Json, actor: str, metadata: Json, change_type: str
    ) -> None:
        old = self._entities[urn].get(aspect)
        if old is not None and old["value"] == value:
            return  # an unchanged aspect is no change: no new version, no event
        metadata = {"lastObserved": _now(), **_SDK_METADATA, **metadata}
        self._entities[urn][aspect] = {
            "value": value,
            "version": 0 if old is None else old["version"] + 1,
            "created": {"time": _now(), "actor": actor},
            "systemMetadata": metadata,
        }
        self._tell(urn, aspect, old, value, change_type, actor, metadata)

    def _tell(
        self,
        urn: str,
        aspect: str,
        old: Json | None,
        after: Json | None,
        change_type: str,
        actor: str,
        metadata: Json,
    ) -> None:
        change = Change(
            urn=urn,
            aspect=aspect,
            before=old["value"] if old else None,
            after=after,
            change_type=change_type,
            actor=actor,
            time=_now(),
            system_metadata=metadata,
            previous_system_metadata=old["systemMetadata"] if old else None,
        )
        self._dirty = True
        for listener in self._listeners:
            listener(change)

    def _require_properties(self, kind: str, value: Json) -> None:
        for assignment in value.get("properties") or []:
            urn = assignment.get("propertyUrn") or ""
            definition = self.get(urn, "propertyDefinition")
            if definition is None:
                raise Refused(422, f"Unexpected null value found. {urn} Structured Property")
            allowed = {each.split("datahub.")[-1] for each in definition["entityTypes"]}
            if kind not in allowed:
                raise Refused(422, f"Property: {urn} does not allow entity type {kind}")
            values = assignment.get("values") or []
            if definition.get("cardinality", "SINGLE") == "SINGLE" and len(values) > 1:
                raise Refused(422, f"Property: {urn} has cardinality SINGLE, but several values")
            member = "double" if definition["valueType"].endswith("number") else "string"
            if any(member not in each for each in values):
                raise Refused(422, f"Property: {urn} needs values of type {member}")

    def _save(self) -> None:
        if self._state_file is None or self._batch or not self._dirty:
            return
        self._dirty = False
        folder = self._state_file.parent
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".datahub-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(self._entities, file)
        os.replace(name, self._state_file)  # never a half-written file


def _now() -> int:
    return int(time.time() * 1000)
