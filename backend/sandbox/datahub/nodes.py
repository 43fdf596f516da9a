"""Entities as GraphQL shows them: each class answers the fields of one type of the schema."""

from typing import Any

from backend.sandbox.datahub import lineage, process_runs, registry
from backend.sandbox.datahub.search import graphql_type
from backend.sandbox.datahub.store import Store

Json = dict[str, Any]
_DATA_TYPES = {
    "BooleanType": "BOOLEAN",
    "NumberType": "NUMBER",
    "DateType": "DATE",
    "TimeType": "TIME",
    "BytesType": "BYTES",
    "FixedType": "FIXED",
    "EnumType": "ENUM",
    "ArrayType": "ARRAY",
    "MapType": "MAP",
    "RecordType": "STRUCT",
    "UnionType": "UNION",
    "NullType": "NULL",
}


class Entity:
    """Base: fields are properties or methods of the same name, read lazily by graphql-core."""

    def __init__(self, store: Store, urn: str) -> None:
        self._store = store
        self.urn = urn
        self.type = graphql_type(registry.entity_type(urn))
        self._key = registry.key_value(urn)

    @property
    def exists(self) -> bool:
        return self._store.exists(self.urn)

    @property
    def tags(self) -> Json | None:
        return tags(self._store, self.urn, self._aspect("globalTags"))

    @property
    def structuredProperties(self) -> Json | None:
        return structured_properties(self._store, self.urn)

    def _aspect(self, name: str) -> Json | None:
        return self._store.get(self.urn, name)


class Dataset(Entity):
    __typename = "Dataset"

    @property
    def name(self) -> str:
        return str((self._aspect("datasetProperties") or {}).get("name") or self._key["name"])

    @property
    def origin(self) -> str:
        return str(self._key["origin"])

    @property
    def platform(self) -> "DataPlatform":
        return DataPlatform(self._store, self._key["platform"])

    @property
    def status(self) -> Json | None:
        return self._aspect("status")

    @property
    def properties(self) -> Json | None:
        found = self._aspect("datasetProperties")
        if found is None:
            return None
        stamp = found.get("lastModified") or {"time": 0, "actor": None}
        return {
            "name": self.name,
            "description": found.get("description"),
            "externalUrl": found.get("externalUrl"),
            "customProperties": custom_properties(found),
            "lastModified": stamp,
        }

    @property
    def editableProperties(self) -> Json | None:
        return self._aspect("editableDatasetProperties")

    @property
    def institutionalMemory(self) -> Json | None:
        found = self._aspect("institutionalMemory")
        if found is None:
            return None
        return {
            "elements": [
                {
                    "url": each["url"],
                    "label": each["description"],
                    "created": each["createStamp"],
                    "associatedUrn": self.urn,
                }
                for each in found["elements"]
            ]
        }

    def schemaMetadata(self, _info: Any, version: int | None = None) -> Json | None:
        found = self._aspect("schemaMetadata")
        if found is None or version not in (None, 0):
            return None
        return {
            "name": found["schemaName"],
            "version": found["version"],
            "hash": found["hash"],
            "primaryKeys": found.get("primaryKeys"),
            "fields": [self._field(each) for each in found["fields"]],
        }

    @property
    def editableSchemaMetadata(self) -> Json | None:
        found = self._aspect("editableSchemaMetadata")
        if found is None:
            return None
        return {
            "editableSchemaFieldInfo": [
                {
                    "fieldPath": each["fieldPath"],
                    "description": each.get("description"),
                    "tags": tags(self._store, self.urn, each.get("globalTags")),
                    "glossaryTerms": terms(each.get("glossaryTerms")),
                }
                for each in found["editableSchemaFieldInfo"]
            ]
        }

    @property
    def siblings(self) -> Json | None:
        return lineage.siblings(self._store, self.urn, entity)

    @property
    def fineGrainedLineages(self) -> list[Json] | None:
        return lineage.columns(self._aspect("upstreamLineage"))

    def lineage(self, _info: Any, input: Json) -> Json:
        return lineage.neighbours(self._store, self.urn, input, entity)

    def runs(self, _info: Any, direction: str, start: int = 0, count: int = 20) -> Json:
        return process_runs.of_dataset(self._store, self.urn, direction, start, count)

    def _field(self, field: Json) -> Json:
        members = (field.get("type") or {}).get("type") or {}
        member = next(iter(members), "").rsplit(".", 1)[-1]
        return {
            "fieldPath": field["fieldPath"],
            "nullable": bool(field.get("nullable")),
            "description": field.get("description"),
            "type": _DATA_TYPES.get(member, "STRING"),
            "nativeDataType": field.get("nativeDataType"),
            "isPartOfKey": field.get("isPartOfKey"),
            "tags": tags(self._store, self.urn, field.get("globalTags")),
            "glossaryTerms": terms(field.get("glossaryTerms")),
        }


class DataFlow(Entity):
    __typename = "DataFlow"

    @property
    def orchestrator(self) -> str:
        return str(self._key["orchestrator"])

    @property
    def flowId(self) -> str:
        return str(self._key["flowId"])

    @property
    def cluster(self) -> str:
        return str(self._key["cluster"])


class DataJob(Entity):
    __typename = "DataJob"

    @property
    def jobId(self) -> str:
        return str(self._key["jobId"])

    @property
    def dataFlow(self) -> DataFlow:
        return DataFlow(self._store, self._key["flow"])

    @property
    def properties(self) -> Json | None:
        found = self._aspect("dataJobInfo")
        if found is None:
            return None
        return {
            "name": found["name"],
            "description": found.get("description"),
            "customProperties": custom_properties(found),
        }

    @property
    def inputOutput(self) -> Json | None:
        found = self._aspect("dataJobInputOutput")
        return None if found is None else {"fineGrainedLineages": lineage.columns(found)}

    def runs(self, _info: Any, start: int = 0, count: int = 20) -> Json:
        return process_runs.of_job(self._store, self.urn, start, count)


class DataPlatform(Entity):
    __typename = "DataPlatform"

    @property
    def name(self) -> str:
        return self.urn.removeprefix("urn:li:dataPlatform:")


class Tag(Entity):
    __typename = "Tag"

    @property
    def name(self) -> str:
        return str((self.properties or {}).get("name") or self.urn.removeprefix("urn:li:tag:"))

    @property
    def properties(self) -> Json | None:
        return self._aspect("tagProperties")

    @property
    def description(self) -> str | None:
        return (self.properties or {}).get("description")


class CorpUser(Entity):
    __typename = "CorpUser"

    @property
    def username(self) -> str:
        return self.urn.removeprefix("urn:li:corpuser:")

    @property
    def properties(self) -> Json | None:
        return self._aspect("corpUserInfo")

    @property
    def editableProperties(self) -> Json | None:
        return self._aspect("corpUserEditableInfo")

    @property
    def status(self) -> str | None:
        return (self._aspect("corpUserStatus") or {}).get("status")

    @property
    def isNativeUser(self) -> bool:
        return self._aspect("corpUserCredentials") is not None


class StructuredProperty(Entity):
    __typename = "StructuredPropertyEntity"

    @property
    def definition(self) -> Json:
        found = self._aspect("propertyDefinition")
        name = self.urn.removeprefix("urn:li:structuredProperty:")
        return found or {"qualifiedName": name, "displayName": None, "cardinality": None}


_CLASSES: dict[str, type[Entity]] = {
    "dataset": Dataset,
    "dataFlow": DataFlow,
    "dataJob": DataJob,
    "dataPlatform": DataPlatform,
    "tag": Tag,
    "corpuser": CorpUser,
    "structuredProperty": StructuredProperty,
}


def entity(store: Store, urn: str) -> Entity:
    """The node for a URN whose type the reduced schema has."""
    return _CLASSES[registry.entity_type(urn)](store, urn)


def searchable() -> set[str]:
    """EntityType words that a search may return here."""
    return {graphql_type(kind) for kind in _CLASSES}


def terms(holder: Json | None) -> Json | None:
    """Glossary terms of a field."""
    if holder is None:
        return None
    return {"terms": [{"term": {"urn": each["urn"]}} for each in holder.get("terms") or []]}


def tags(store: Store, urn: str, holder: Json | None) -> Json | None:
    if holder is None:
        return None
    return {
        "tags": [
            {
                "tag": Tag(store, each["tag"]),
                "associatedUrn": urn,
                "context": each.get("context"),
            }
            for each in holder.get("tags") or []
        ]
    }


def custom_properties(holder: Json) -> list[Json]:
    return [
        {"key": key, "value": value}
        for key, value in (holder.get("customProperties") or {}).items()
    ]


def structured_properties(store: Store, urn: str) -> Json | None:
    found = store.get(urn, "structuredProperties")
    if found is None:
        return None
    return {
        "properties": [
            {
                "structuredProperty": StructuredProperty(store, each["propertyUrn"]),
                "values": [_typed(value) for value in each["values"]],
                "associatedUrn": urn,
            }
            for each in found["properties"]
        ]
    }


def _typed(value: Json) -> Json:
    if "string" in value:
        return {"__typename": "StringValue", "stringValue": value["string"]}
    return {"__typename": "NumberValue", "numberValue": value["double"]}
