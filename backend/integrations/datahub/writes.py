"""Changes of a dataset: patches of single entries, never whole aspects, each read back.

A whole aspect written back deletes what somebody else added in between. A patch of an entry that
is already there would drop that entry's context, so the current state is read first and only what
differs is sent. A 2xx answer proves little (a web interface answers 200 to anything), so the
result is read again and compared.
"""

from collections.abc import Sequence
from typing import Any

from backend.core.errors import (
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.datahub import operations
from backend.integrations.datahub.errors import SYSTEM
from backend.integrations.datahub.reads import ReadCalls
from backend.integrations.datahub.schemas import Dataset, DatasetPatch

_TAG_PREFIX = "urn:li:tag:"
_PROPERTY_PREFIX = "urn:li:structuredProperty:"
_LINK_SCHEMES = ("http://", "https://", "ftp://", "mailto:")


class WriteCalls(ReadCalls):
    """Part of DataHubClient."""

    def ensure_tag(self, tag_urn: str, *, name: str | None = None, description: str = "") -> bool:
        """Create the tag unless it exists; True when it was created. What exists stays as it is."""
        _require_tag(tag_urn)
        if self.exists(tag_urn):
            return False
        tag_id = tag_urn.removeprefix(_TAG_PREFIX)
        wanted = {"id": tag_id, "name": name or tag_id, "description": description}
        try:
            self._gateway.mutate(operations.CREATE_TAG, {"input": wanted})
        except UpstreamError:
            # Somebody else may have created it just now, or the answer was lost: look again.
            if not self.exists(tag_urn):
                raise
        return True

    def ensure_structured_property(self, urn: str, *, name: str, description: str) -> bool:
        """Define a text property of datasets unless it is there; True when it was defined."""
        if self.exists(urn):
            return False
        identity = urn.removeprefix(_PROPERTY_PREFIX)
        wanted = {
            "id": identity,
            "qualifiedName": identity,
            "displayName": name,
            "description": description,
            "valueType": "urn:li:dataType:datahub.string",
            "cardinality": "SINGLE",
            "entityTypes": ["urn:li:entityType:datahub.dataset"],
        }
        try:
            self._gateway.mutate(operations.CREATE_STRUCTURED_PROPERTY, {"input": wanted})
        except UpstreamError:
            # Somebody else may have defined it just now, or the answer was lost: look again.
            if not self.exists(urn):
                raise
        return True

    def set_structured_property(self, urn: str, property_urn: str, value: str) -> Dataset:
        """One structured property of the dataset; ingestion leaves it alone.

        By mutation: the patch needs a server of 2026 for a property that the dataset lacks.
        """
        before = self.dataset(urn)
        if before.structured_properties.get(property_urn) == (value,):
            return before
        entry = {"structuredPropertyUrn": property_urn, "values": [{"stringValue": value}]}
        wanted = {"assetUrn": urn, "structuredPropertyInputParams": [entry]}
        self._gateway.mutate(operations.UPSERT_STRUCTURED_PROPERTIES, {"input": wanted})
        after = self._read_back(urn)
        if after.structured_properties.get(property_urn) != (value,):
            raise _not_kept(urn, f"structured property {property_urn}")
        return after

    def patch_dataset(self, urn: str, patch: DatasetPatch) -> Dataset:
        """Make the dataset carry the patch, in one request; the dataset as it is afterwards.

        Raises NotFound for an unknown dataset or field, OutcomeUnknown when no answer came, and
        UpstreamError when DataHub accepted the change but does not show it.
        """
        before = self.dataset(urn)
        needed = _needed(before, patch)
        if needed == DatasetPatch():
            return before
        self._gateway.write(lambda graph: _emit(graph, urn, needed))
        after = self._read_back(urn)
        left = _needed(after, patch)
        if left != DatasetPatch():
            raise _not_kept(urn, _named(left))
        return after

    def set_custom_property(self, urn: str, key: str, value: str | None) -> Dataset:
        """One custom property; None removes it."""
        return self.patch_dataset(urn, DatasetPatch(custom_properties={key: value}))

    def add_link(self, urn: str, url: str, label: str) -> Dataset:
        """A link in the dataset's documentation; one with the same url and label stays as it is.

        By mutation, not by patch: the patch knows links by url alone and would replace a person's.
        """
        if not url.lower().startswith(_LINK_SCHEMES):
            raise InvalidInput(f"{url!r} cannot be a link: it must begin with http:// or https://.")
        before = self.dataset(urn)
        if _has_link(before, url, label):
            return before
        wanted = {"linkUrl": url, "label": label, "resourceUrn": urn}
        self._gateway.mutate(operations.ADD_LINK, {"input": wanted})
        after = self._read_back(urn)
        if not _has_link(after, url, label):
            raise _not_kept(urn, f"link {url}")
        return after

    def remove_link(self, urn: str, url: str, label: str | None = None) -> Dataset:
        """Remove the link with this url and label, or every label of the url; others stay."""
        before = self.dataset(urn)
        if not _has_link(before, url, label):
            return before
        wanted = {"linkUrl": url, "resourceUrn": urn}
        if label is not None:
            wanted["label"] = label
        self._gateway.mutate(operations.REMOVE_LINK, {"input": wanted})
        after = self._read_back(urn)
        if _has_link(after, url, label):
            raise _not_kept(urn, f"removal of link {url}")
        return after

    def _read_back(self, urn: str) -> Dataset:
        try:
            return self.dataset(urn)
        except (UpstreamTimeout, UpstreamUnavailable) as exc:
            raise OutcomeUnknown(
                SYSTEM,
                f"the change of {urn} was accepted, but could not be read back: {exc.cause}",
                "Look at the dataset in DataHub before repeating it.",
            ) from exc


def _needed(current: Dataset, patch: DatasetPatch) -> DatasetPatch:
    """What of the patch the dataset does not show yet. Equal to DatasetPatch() when all is done."""
    adding = {
        path: _missing(_field(current, path).tags, tags)
        for path, tags in patch.add_field_tags.items()
    }
    # Only what people and tools set can be removed; a stray removal would leave an empty entry.
    removing = {
        path: _present(_editable_tags(current, path), tags)
        for path, tags in patch.remove_field_tags.items()
    }
    return DatasetPatch(
        add_tags=_missing(current.tags, patch.add_tags),
        remove_tags=_present(current.tags, patch.remove_tags),
        add_field_tags={path: tags for path, tags in adding.items() if tags},
        remove_field_tags={path: tags for path, tags in removing.items() if tags},
        custom_properties={
            key: value
            for key, value in patch.custom_properties.items()
            if current.custom_properties.get(key) != value
        },
        editable_description=None
        if patch.editable_description == (current.editable_description or "")
        else patch.editable_description,
    )


def _emit(graph: Any, urn: str, patch: DatasetPatch) -> None:
    """Send the patch as one batch. As a list, because a single proposal through rest.li escapes
    non-ASCII letters of the URN twice and so reaches another entity.

    Tags are patched by the aspect's own template (a plain array of operations), not by the
    builder's `add_tag`: its object form is refused by older servers ("Invalid JSON Patch").
    """
    from datahub.emitter.rest_emitter import EmitMode
    from datahub.metadata.schema_classes import TagAssociationClass
    from datahub.specific.dataset import DatasetPatchBuilder

    builder = DatasetPatchBuilder(urn)
    for tag in patch.add_tags:
        builder._add_patch("globalTags", "add", ("tags", tag), TagAssociationClass(tag=tag))
    for tag in patch.remove_tags:
        builder._add_patch("globalTags", "remove", ("tags", tag), {})
    for path, tags in patch.add_field_tags.items():
        for tag in tags:
            builder.for_field(path).add_tag(TagAssociationClass(tag=tag))
    for path, tags in patch.remove_field_tags.items():
        for tag in tags:
            builder.for_field(path).remove_tag(tag)
    for key, value in patch.custom_properties.items():
        if value is None:
            builder.remove_custom_property(key)
        else:
            builder.add_custom_property(key, value)
    if patch.editable_description is not None:
        builder.set_description(patch.editable_description, editable=True)
    graph.emit_mcps(builder.build(), emit_mode=EmitMode.SYNC_PRIMARY)


def _field(current: Dataset, path: str) -> Any:
    found = current.field(path)
    if found is None:
        raise NotFound(f"The schema of {current.urn} has no field {path!r}.")
    return found


def _editable_tags(current: Dataset, path: str) -> tuple[str, ...]:
    found = current.field(path)
    return found.editable_tags if found else ()


def _missing(present: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    for tag in wanted:
        _require_tag(tag)
    return tuple(tag for tag in dict.fromkeys(wanted) if tag not in present)


def _present(present: Sequence[str], unwanted: Sequence[str]) -> tuple[str, ...]:
    return tuple(tag for tag in dict.fromkeys(unwanted) if tag in present)


def _require_tag(tag_urn: str) -> None:
    if not tag_urn.startswith(_TAG_PREFIX) or tag_urn == _TAG_PREFIX:
        raise InvalidInput(f"{tag_urn!r} is not a tag URN (urn:li:tag:<name>).")


def _has_link(dataset: Dataset, url: str, label: str | None) -> bool:
    return any(each.url == url and label in (None, each.label) for each in dataset.links)


def _named(left: DatasetPatch) -> str:
    """The parts of a patch by name, without values: they may be anything."""
    parts = [
        *(f"tag {tag}" for tag in left.add_tags),
        *(f"removal of tag {tag}" for tag in left.remove_tags),
        *(f"tag on field {path}" for path in left.add_field_tags),
        *(f"removal of a tag from field {path}" for path in left.remove_field_tags),
        *(f"custom property {key}" for key in left.custom_properties),
        *(["documentation"] if left.editable_description is not None else []),
    ]
    return ", ".join(parts)


def _not_kept(urn: str, what: str) -> UpstreamError:
    return UpstreamError(
        SYSTEM,
        f"the change was accepted, but {urn} does not show it: {what}",
        "Somebody may have changed it at the same moment, or a policy drops it; look and retry.",
    )
