"""Filling the stand-in in a few words, through the same rules as any other write."""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from backend.sandbox.datahub import registry
from backend.sandbox.datahub.store import DEFAULT_ACTOR, Store

Json = dict[str, Any]

_TYPES = (
    (("char", "text", "string", "uuid", "json", "inet"), "StringType"),
    (("bool",), "BooleanType"),
    (("timestamp", "time"), "TimeType"),
    (("date",), "DateType"),
    (("int", "numeric", "decimal", "float", "double", "real", "serial"), "NumberType"),
    (("bytea", "blob", "binary"), "BytesType"),
)


class Seeding:
    """Part of StandIn."""

    store: Store

    def seed_dataset(
        self,
        urn: str,
        *,
        fields: Mapping[str, str] | None = None,
        description: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        field_tags: Mapping[str, Sequence[str]] | None = None,
        ingested_field_tags: Mapping[str, Sequence[str]] | None = None,
        custom_properties: Mapping[str, str] | None = None,
        editable_description: str | None = None,
        links: Sequence[tuple[str, str]] = (),
        primary_keys: Sequence[str] = (),
    ) -> None:
        """A dataset. fields: path → native type. Tags and links are made with it."""
        key = registry.key_value(urn)
        for tag in {*tags, *_flat(field_tags), *_flat(ingested_field_tags)}:
            self.seed_tag(tag)
        with self.store.batch():
            properties: Json = {
                "name": name or key["name"].rsplit(".", 1)[-1],
                "customProperties": dict(custom_properties or {}),
                "tags": [],
            }
            if description is not None:
                properties["description"] = description
            self.store.upsert(urn, "datasetProperties", properties)
            if fields is not None:
                self.store.upsert(
                    urn,
                    "schemaMetadata",
                    _schema(key, fields, ingested_field_tags or {}, primary_keys),
                )
            if tags:
                self.store.upsert(urn, "globalTags", _tags(tags))
            if field_tags:
                self.store.upsert(urn, "editableSchemaMetadata", _editable(field_tags))
            if editable_description is not None:
                texts = {"description": editable_description, **_stamps()}
                self.store.upsert(urn, "editableDatasetProperties", texts)
            if links:
                elements = [
                    {"url": url, "description": label, "createStamp": _stamp()}
                    for url, label in links
                ]
                self.store.upsert(urn, "institutionalMemory", {"elements": elements})

    def seed_lineage(
        self, urn: str, columns: Mapping[str, Sequence[tuple[str, str]]], *, job: str = ""
    ) -> None:
        """Column → the (dataset, column) pairs it is made from; job: recorded on that data job."""
        edges = [
            {
                "upstreamType": "FIELD_SET",
                "upstreams": [f"urn:li:schemaField:({up},{name})" for up, name in sources],
                "downstreamType": "FIELD",
                "downstreams": [f"urn:li:schemaField:({urn},{column})"],
                "confidenceScore": 1.0,
            }
            for column, sources in columns.items()
        ]
        upstreams = sorted({up for sources in columns.values() for up, _ in sources})
        if job:
            value: Json = {"inputDatasets": upstreams, "outputDatasets": [urn]}
            self.store.upsert(job, "dataJobInputOutput", {**value, "fineGrainedLineages": edges})
            return
        stamped = [
            {"dataset": each, "type": "TRANSFORMED", "auditStamp": _stamp()} for each in upstreams
        ]
        lineage = {"upstreams": stamped, "fineGrainedLineages": edges}
        self.store.upsert(urn, "upstreamLineage", lineage)

    def seed_siblings(self, primary: str, other: str) -> None:
        """Two datasets that are one thing, as dbt's ingestion and the server's hook leave them."""
        self.store.upsert(primary, "siblings", {"siblings": [other], "primary": True})
        self.store.upsert(other, "siblings", {"siblings": [primary], "primary": False})

    def seed_tag(self, urn: str, description: str = "") -> None:
        """A tag; one that exists stays as it is."""
        if not self.store.exists(urn):
            name = urn.removeprefix("urn:li:tag:")
            self.store.upsert(urn, "tagProperties", {"name": name, "description": description})

    def seed_data_job(
        self,
        urn: str,
        *,
        name: str | None = None,
        structured: Mapping[str, str | float | Sequence[str | float]] | None = None,
        custom_properties: Mapping[str, str] | None = None,
        writes: Sequence[str] = (),
    ) -> None:
        """A data job with its flow. structured: property URN → value; the definition is made.
        writes: URNs of its output datasets."""
        key = registry.key_value(urn)
        flow_id = registry.key_value(key["flow"])["flowId"]
        self.store.upsert(key["flow"], "dataFlowInfo", {"name": flow_id, "customProperties": {}})
        self.store.upsert(
            urn,
            "dataJobInfo",
            {
                "name": name or key["jobId"],
                "type": {"string": "COMMAND"},
                "customProperties": dict(custom_properties or {}),
            },
        )
        if writes:
            outputs: Json = {"inputDatasets": [], "outputDatasets": list(writes)}
            self.store.upsert(urn, "dataJobInputOutput", outputs)
        assignments = []
        for property_urn, given in (structured or {}).items():
            values = [given] if isinstance(given, (str, int, float)) else list(given)
            number = not isinstance(values[0], str)
            self.seed_structured_property(property_urn, number=number, multiple=len(values) > 1)
            typed: list[Json] = [{"double": float(v)} if number else {"string": v} for v in values]
            assignments.append({"propertyUrn": property_urn, "values": typed})
        if assignments:
            self.store.upsert(urn, "structuredProperties", {"properties": assignments})

    def seed_process_run(
        self, run_id: str, *, job: str, wrote: str, at: int, result: str | None = None
    ) -> str:
        """A run of a job that wrote a dataset; its URN. at: ms. result: None while it goes."""
        urn = f"urn:li:dataProcessInstance:{run_id}"
        created = {"time": at, "actor": DEFAULT_ACTOR}
        event: Json = {"timestampMillis": at, "status": "COMPLETE" if result else "STARTED"}
        if result:
            event |= {"result": {"type": result, "nativeResultType": "airflow"}}
        self.store.upsert(
            urn, "dataProcessInstanceProperties", {"name": run_id, "created": created}
        )
        parent = {"parentTemplate": job, "upstreamInstances": []}
        self.store.upsert(urn, "dataProcessInstanceRelationships", parent)
        self.store.upsert(urn, "dataProcessInstanceOutput", {"outputs": [wrote]})
        self.store.upsert(urn, "dataProcessInstanceRunEvent", event)
        return urn

    def seed_structured_property(
        self, urn: str, *, number: bool = False, multiple: bool = False
    ) -> None:
        """A definition for datasets and data jobs; one that exists stays as it is."""
        if not self.store.exists(urn):
            self.store.upsert(
                urn,
                "propertyDefinition",
                {
                    "qualifiedName": urn.removeprefix("urn:li:structuredProperty:"),
                    "valueType": "urn:li:dataType:datahub." + ("number" if number else "string"),
                    "cardinality": "MULTIPLE" if multiple else "SINGLE",
                    "entityTypes": [
                        "urn:li:entityType:datahub.dataset",
                        "urn:li:entityType:datahub.dataJob",
                    ],
                },
            )

    def seed_ingestion_source(
        self, name: str, type: str, *, recipe: str | None = None, cron: str | None = None
    ) -> str:
        """An ingestion source; its URN."""
        urn = f"urn:li:dataHubIngestionSource:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"
        value: Json = {
            "name": name,
            "type": type,
            "config": {
                "recipe": recipe or f'{{"source":{{"type":"{type}","config":{{}}}}}}',
                "executorId": "default",
                "version": "1.7.0",
                "debugMode": False,
            },
        }
        if cron:
            value["schedule"] = {"interval": cron, "timezone": "UTC"}
        self.store.upsert(urn, "dataHubIngestionSourceInfo", value)
        return urn


def _schema(
    key: Json,
    fields: Mapping[str, str],
    tags: Mapping[str, Sequence[str]],
    primary_keys: Sequence[str],
) -> Json:
    schema: Json = {
        "schemaName": key["name"],
        "platform": key["platform"],
        "version": 0,
        "hash": "",
        "platformSchema": {"com.linkedin.schema.OtherSchema": {"rawSchema": ""}},
        "fields": [
            {
                "fieldPath": path,
                "nullable": path not in primary_keys,
                "type": {"type": {f"com.linkedin.schema.{_member(native)}": {}}},
                "nativeDataType": native,
                "recursive": False,
                "isPartOfKey": path in primary_keys,
                **({"globalTags": _tags(tags[path])} if path in tags else {}),
            }
            for path, native in fields.items()
        ],
        **_stamps(),
    }
    if primary_keys:
        schema["primaryKeys"] = list(primary_keys)
    return schema


def _editable(field_tags: Mapping[str, Sequence[str]]) -> Json:
    infos = [{"fieldPath": path, "globalTags": _tags(tags)} for path, tags in field_tags.items()]
    return {"editableSchemaFieldInfo": infos, **_stamps()}


def _member(native: str) -> str:
    lowered = native.lower()
    for words, member in _TYPES:
        if any(word in lowered for word in words):
            return member
    return "StringType"


def _tags(tags: Sequence[str]) -> Json:
    return {"tags": [{"tag": tag} for tag in tags]}


def _flat(by_field: Mapping[str, Sequence[str]] | None) -> list[str]:
    return [tag for tags in (by_field or {}).values() for tag in tags]


def _stamp() -> Json:
    return {"time": int(time.time() * 1000), "actor": DEFAULT_ACTOR}


def _stamps() -> Json:
    return {"created": _stamp(), "lastModified": _stamp()}
