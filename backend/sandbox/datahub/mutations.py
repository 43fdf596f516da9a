"""Resolvers of the stand-in's mutations on tags, texts, links and structured properties."""

import copy
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

from graphql import GraphQLResolveInfo

from backend.sandbox.datahub import nodes
from backend.sandbox.datahub.refusals import Refused

Json = dict[str, Any]
Info = GraphQLResolveInfo

UNAUTHORIZED = "Unauthorized to perform this action. Please contact your DataHub administrator."
_LINK_SCHEMES = {"http", "https", "ftp", "mailto"}


def save(info: Info, urn: str, aspect: str, value: Json) -> None:
    """Write as the web interface does: marked so, and seen by the index at once."""
    info.context.store.upsert(
        urn,
        aspect,
        value,
        actor=info.context.grant.actor,
        system_metadata={"properties": {"appSource": "ui"}},
    )


def create_tag(info: Info, input: Json) -> str:
    _require(info, tags=True)
    urn = f"urn:li:tag:{input.get('id') or uuid.uuid4()}"
    if info.context.store.exists(urn):
        raise Refused(400, "This Tag already exists!")
    properties = {"name": input["name"], "description": input.get("description") or ""}
    save(info, urn, "tagProperties", properties)
    owner = {"owner": info.context.grant.actor, "type": "TECHNICAL_OWNER"}
    save(info, urn, "ownership", {"owners": [owner], "lastModified": _stamp(info)})
    return urn


def add_tag(info: Info, input: Json) -> bool:
    return _change_tags(info, [input["tagUrn"]], [input], adding=True)


def remove_tag(info: Info, input: Json) -> bool:
    return _change_tags(info, [input["tagUrn"]], [input], adding=False)


def batch_add_tags(info: Info, input: Json) -> bool:
    return _change_tags(info, input["tagUrns"], input["resources"], adding=True)


def batch_remove_tags(info: Info, input: Json) -> bool:
    resources = [each for each in input["resources"] if each]
    return _change_tags(info, input["tagUrns"], resources, adding=False)


def update_description(info: Info, input: Json) -> bool:
    _require(info)
    urn, path = _target(info, input)
    if path is None:
        texts = copy.deepcopy(info.context.store.get(urn, "editableDatasetProperties") or {})
        texts.setdefault("created", _stamp(info))
        save(
            info,
            urn,
            "editableDatasetProperties",
            {**texts, "description": input["description"], "lastModified": _stamp(info)},
        )
        return True
    schema, field = _editable_field(info, urn, path)
    field["description"] = input["description"]
    save(info, urn, "editableSchemaMetadata", schema)
    return True


def add_link(info: Info, input: Json) -> bool:
    links = _links(info, input)
    if _same_link(links, input):
        raise Refused(400, f"Link {input['linkUrl']} with this label already exists!")
    return _save_links(info, input, [*links, _new_link(info, input)])


def upsert_link(info: Info, input: Json) -> bool:
    links = _links(info, input)
    same = _same_link(links, input)
    kept = [each for each in links if each not in same]
    return _save_links(info, input, [*kept, _new_link(info, input)])


def remove_link(info: Info, input: Json) -> bool:
    links = _links(info, input)
    gone = _same_link(links, input)
    return _save_links(info, input, [each for each in links if each not in gone])


def create_structured_property(info: Info, input: Json) -> nodes.StructuredProperty:
    _require(info)
    name = input.get("qualifiedName") or input.get("id") or str(uuid.uuid4())
    urn = f"urn:li:structuredProperty:{input.get('id') or name}"
    if info.context.store.exists(urn):
        raise Refused(400, "A structured property already exists with this urn")
    definition = {
        "qualifiedName": name,
        "valueType": input["valueType"],
        "entityTypes": input["entityTypes"],
        "cardinality": input.get("cardinality") or "SINGLE",
        "immutable": bool(input.get("immutable")),
        "created": _stamp(info),
        "lastModified": _stamp(info),
    }
    texts = {name: input[name] for name in ("displayName", "description") if input.get(name)}
    save(info, urn, "propertyDefinition", {**definition, **texts})
    return nodes.StructuredProperty(info.context.store, urn)


def upsert_structured_properties(info: Info, input: Json) -> Json:
    urn = _existing_asset(info, input)
    kept = {each["propertyUrn"]: each for each in _assignments(info, urn)}
    for wanted in input["structuredPropertyInputParams"]:
        name = wanted["structuredPropertyUrn"]
        created = kept.get(name, {}).get("created") or _stamp(info)
        kept[name] = {
            "propertyUrn": name,
            "values": [_value(each) for each in wanted["values"]],
            "created": created,
            "lastModified": _stamp(info),
        }
    save(info, urn, "structuredProperties", {"properties": list(kept.values())})
    return nodes.structured_properties(info.context.store, urn) or {}


def remove_structured_properties(info: Info, input: Json) -> Json:
    urn = _existing_asset(info, input)
    gone = set(input["structuredPropertyUrns"])
    kept = [each for each in _assignments(info, urn) if each["propertyUrn"] not in gone]
    save(info, urn, "structuredProperties", {"properties": kept})
    return nodes.structured_properties(info.context.store, urn) or {}


def _require(info: Info, *, tags: bool = False) -> None:
    grant = info.context.grant
    if not (grant.edit_entities or (tags and grant.edit_tags)):
        raise Refused(403, UNAUTHORIZED)


def _change_tags(info: Info, tags: list[str], resources: list[Json], *, adding: bool) -> bool:
    _require(info, tags=True)
    if adding:
        for tag in tags:
            if not info.context.store.exists(tag):
                raise Refused(400, f"Failed to validate label with urn {tag}. Urn does not exist.")
    targets = [_target(info, each) for each in resources]
    for urn, path in targets:
        if path is None:
            holder = copy.deepcopy(info.context.store.get(urn, "globalTags") or {"tags": []})
            save(info, urn, "globalTags", _retagged(holder, tags, adding))
        else:
            schema, field = _editable_field(info, urn, path)
            field["globalTags"] = _retagged(field.get("globalTags") or {"tags": []}, tags, adding)
            save(info, urn, "editableSchemaMetadata", schema)
    return True


def _retagged(holder: Json, tags: list[str], adding: bool) -> Json:
    present = [each["tag"] for each in holder["tags"]]
    if adding:
        new = [{"tag": tag} for tag in tags if tag not in present]
        return {**holder, "tags": [*holder["tags"], *new]}
    return {**holder, "tags": [each for each in holder["tags"] if each["tag"] not in tags]}


def _target(info: Info, resource: Json) -> tuple[str, str | None]:
    """URN and field path of a resource that exists; the path None for the entity itself."""
    urn, path = resource["resourceUrn"], resource.get("subResource")
    if not info.context.store.exists(urn):
        raise Refused(400, f"Failed to update resource with urn {urn}. Entity does not exist.")
    if path is None:
        return urn, None
    if resource.get("subResourceType") != "DATASET_FIELD":
        raise Refused(400, "Failed to update: subResource without subResourceType")
    schema = info.context.store.get(urn, "schemaMetadata") or {}
    if path not in {each["fieldPath"] for each in schema.get("fields") or []}:
        raise Refused(400, f"Failed to update: field {path} does not exist in the schema of {urn}")
    return urn, path


def _editable_field(info: Info, urn: str, path: str) -> tuple[Json, Json]:
    """A copy of the editable schema and, inside it, the field's entry, made when missing."""
    found = info.context.store.get(urn, "editableSchemaMetadata")
    schema = copy.deepcopy(found) or {
        "created": _stamp(info),
        "lastModified": _stamp(info),
        "editableSchemaFieldInfo": [],
    }
    fields = schema["editableSchemaFieldInfo"]
    field = next((each for each in fields if each["fieldPath"] == path), None)
    if field is None:
        field = {"fieldPath": path}
        fields.append(field)
    return schema, field


def _links(info: Info, input: Json) -> list[Json]:
    _require(info)
    if urlsplit(input["linkUrl"]).scheme not in _LINK_SCHEMES:
        raise Refused(400, f"Invalid link URL {input['linkUrl']}")
    urn, _ = _target(info, input)
    found = info.context.store.get(urn, "institutionalMemory") or {"elements": []}
    return list(found["elements"])


def _same_link(links: list[Json], input: Json) -> list[Json]:
    label = input.get("label")
    return [
        each
        for each in links
        if each["url"] == input["linkUrl"] and label in (None, each["description"])
    ]


def _new_link(info: Info, input: Json) -> Json:
    return {
        "url": input["linkUrl"],
        "description": input["label"],
        "createStamp": _stamp(info),
    }


def _save_links(info: Info, input: Json, links: list[Json]) -> bool:
    save(info, input["resourceUrn"], "institutionalMemory", {"elements": links})
    return True


def _existing_asset(info: Info, input: Json) -> str:
    _require(info)
    urn = str(input["assetUrn"])
    if not info.context.store.exists(urn):
        raise Refused(400, f"Asset with urn {urn} does not exist")
    return urn


def _assignments(info: Info, urn: str) -> list[Json]:
    found = info.context.store.get(urn, "structuredProperties") or {"properties": []}
    return list(found["properties"])


def _value(given: Json) -> Json:
    if given.get("stringValue") is not None:
        return {"string": given["stringValue"]}
    if given.get("numberValue") is not None:
        return {"double": given["numberValue"]}
    raise Refused(400, "A structured property value needs stringValue or numberValue")


def _stamp(info: Info) -> Json:
    return {"time": int(time.time() * 1000), "actor": info.context.grant.actor}


RESOLVERS: dict[str, Any] = {
    "createTag": create_tag,
    "addTag": add_tag,
    "removeTag": remove_tag,
    "batchAddTags": batch_add_tags,
    "batchRemoveTags": batch_remove_tags,
    "updateDescription": update_description,
    "addLink": add_link,
    "upsertLink": upsert_link,
    "removeLink": remove_link,
    "createStructuredProperty": create_structured_property,
    "upsertStructuredProperties": upsert_structured_properties,
    "removeStructuredProperties": remove_structured_properties,
}
