"""The stand-in's search index: filters, text, facets, scroll, and a lag when one is wished."""

import base64
import re
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from backend.sandbox.datahub import registry
from backend.sandbox.datahub.refusals import Refused
from backend.sandbox.datahub.store import Change, Store

Json = dict[str, Any]

# A filter on the key also matches these fields of a document.
_ALIASES: dict[str, tuple[str, ...]] = {
    "tags": ("tags", "fieldTags", "editedFieldTags"),
    "fieldTags": ("fieldTags", "editedFieldTags"),
    "description": ("description", "editedDescription"),
    "env": ("origin",),
    "_entityType": ("entityType",),
    "entity": ("entityType",),
}
_FACETS = ("_entityType", "platform", "origin", "tags")
_WINDOW = 10_000


@dataclass(frozen=True)
class Document:
    """An entity as the index knows it; every field is a list of texts."""

    urn: str
    kind: str
    fields: dict[str, list[str]]

    def values(self, name: str) -> list[str]:
        name = name.removesuffix(".keyword")
        return [v for each in _ALIASES.get(name, (name,)) for v in self.fields.get(each, [])]

    @property
    def removed(self) -> bool:
        return self.fields.get("removed") == ["true"]

    @property
    def text(self) -> str:
        return " ".join(text for values in self.fields.values() for text in values).lower()


class Index:
    """Follows the store, `lag` seconds behind, except for writes that ask to be seen at once."""

    def __init__(self, store: Store, lag: float = 0.0) -> None:
        self.lag = lag
        self._store = store
        self._lock = store.lock  # one lock for both: listeners run inside the store's
        self._documents: dict[str, Document] = {}
        self._pending: deque[tuple[float, str]] = deque()
        for urn in store.urns():
            self._refresh(urn)

    def record(self, change: Change) -> None:
        """Listener of the store."""
        with self._lock:
            if self.lag <= 0 or change.system_metadata.get("properties", {}).get("appSource"):
                self._refresh(change.urn)
            else:
                self._pending.append((time.monotonic() + self.lag, change.urn))

    def refresh(self, urn: str) -> None:
        """Show this entity as it is now."""
        with self._lock:
            self._refresh(urn)

    def find(
        self,
        kinds: Iterable[str],
        query: str,
        or_filters: list[Json] | None,
        *,
        include_removed: bool = False,
    ) -> list[Document]:
        """All matches, by URN. kinds: EntityType words ("DATASET"); none means all."""
        wanted = set(kinds)
        words = [] if query.strip() in ("", "*") else re.findall(r"\w+", query.lower())
        asks_removed = "removed" in {
            rule["field"] for group in or_filters or [] for rule in group.get("and") or []
        }
        with self._lock:
            self._catch_up()
            documents = list(self._documents.values())
        return sorted(
            (
                each
                for each in documents
                if (not wanted or graphql_type(each.kind) in wanted)
                and (include_removed or asks_removed or not each.removed)
                and all(word in each.text for word in words)
                and _passes(each, or_filters)
            ),
            key=lambda each: each.urn,
        )

    def _catch_up(self) -> None:
        while self._pending and self._pending[0][0] <= time.monotonic():
            self._refresh(self._pending.popleft()[1])

    def _refresh(self, urn: str) -> None:
        if self._store.exists(urn):
            self._documents[urn] = _document(self._store, urn)
        else:
            self._documents.pop(urn, None)


def page(found: list[Document], start: int, count: int) -> list[Document]:
    """One page; refused past the index's window as Elasticsearch does."""
    if start + count > _WINDOW:
        raise Refused(500, f"Result window is too large, from + size must be at most {_WINDOW}")
    return found[start : start + count]


def scroll(
    found: list[Document], scroll_id: str | None, count: int
) -> tuple[list[Document], str | None]:
    """The page after `scroll_id` and the next id, None when there is surely nothing left."""
    after = base64.urlsafe_b64decode(scroll_id.encode()).decode() if scroll_id else ""
    here = [each for each in found if each.urn > after][:count]
    if len(here) < count or not here:
        return here, None
    return here, base64.urlsafe_b64encode(here[-1].urn.encode()).decode()


def facets(found: list[Document]) -> list[Json]:
    """Counts per value, most frequent first."""
    return [
        {
            "field": name,
            "displayName": name.strip("_").capitalize(),
            "aggregations": [
                {"value": value, "count": count}
                for value, count in Counter(
                    value for each in found for value in set(each.values(name))
                ).most_common(20)
            ],
        }
        for name in _FACETS
    ]


def graphql_type(kind: str) -> str:
    """The EntityType word of an entity type: dataset → DATASET, dataJob → DATA_JOB."""
    special = {"corpuser": "CORP_USER", "mlModel": "MLMODEL", "mlFeature": "MLFEATURE"}
    return special.get(kind) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).upper()


def _passes(document: Document, or_filters: list[Json] | None) -> bool:
    if not or_filters:
        return True
    return any(
        all(_matches(document, rule) for rule in group.get("and") or []) for group in or_filters
    )


def _matches(document: Document, rule: Json) -> bool:
    return _holds(document.values(rule["field"]), rule) != bool(rule.get("negated"))


def _holds(have: list[str], rule: Json) -> bool:
    want = [str(value) for value in rule.get("values") or []]
    match rule.get("condition") or "EQUAL":
        case "EQUAL" | "IN":
            return any(value in want for value in have)
        case "IEQUAL":
            return any(value.lower() in {each.lower() for each in want} for value in have)
        case "CONTAIN":
            return any(each.lower() in value.lower() for value in have for each in want)
        case "START_WITH":
            return any(value.startswith(each) for value in have for each in want)
        case "END_WITH":
            return any(value.endswith(each) for value in have for each in want)
        case "EXISTS":
            return bool(have)
        case other:
            raise Refused(400, f"The stand-in's index does not know the condition {other}")


def _document(store: Store, urn: str) -> Document:
    kind = registry.entity_type(urn)
    key = registry.key_value(urn)

    def aspect(name: str) -> Json:
        return store.get(urn, name) or {}

    def tags_of(holder: Json) -> list[str]:
        return [each["tag"] for each in (holder.get("globalTags") or {}).get("tags") or []]

    properties = aspect("datasetProperties") or aspect("dataJobInfo") or aspect("tagProperties")
    fields = aspect("schemaMetadata").get("fields") or []
    edited = aspect("editableSchemaMetadata").get("editableSchemaFieldInfo") or []
    values: dict[str, list[Any]] = {
        "urn": [urn],
        "entityType": [graphql_type(kind), kind],
        "name": [properties.get("name"), key.get("name"), key.get("jobId")],
        "platform": [key.get("platform")],
        "origin": [key.get("origin")],
        "description": [properties.get("description")],
        "editedDescription": [aspect("editableDatasetProperties").get("description")],
        "tags": tags_of({"globalTags": aspect("globalTags")}),
        "fieldPaths": [each["fieldPath"] for each in fields],
        "fieldTags": [tag for each in fields for tag in tags_of(each)],
        "editedFieldTags": [tag for each in edited for tag in tags_of(each)],
        "customProperties": [
            f"{name}={value}" for name, value in (properties.get("customProperties") or {}).items()
        ],
        "removed": ["true" if aspect("status").get("removed") else "false"],
    }
    return Document(
        urn,
        kind,
        {name: [str(each) for each in found if each] for name, found in values.items()},
    )
