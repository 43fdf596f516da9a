"""Reading DataHub's change events."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.tokenization import events, tags
from backend.tokenization.events import TagChange

DATASET = "urn:li:dataset:(urn:li:dataPlatform:postgres,shop.public.customers,PROD)"
FIELD = f"urn:li:schemaField:({DATASET},email)"


def entity_change(**more: Any) -> TagChange | None:
    given = {
        "entity_urn": DATASET,
        "category": "TAG",
        "operation": "ADD",
        "modifier": tags.RUN,
        "parameters": {},
        **more,
    }
    return events.from_entity_change(**given)


class TestEntityChange:
    def test_tag_on_a_dataset(self) -> None:
        assert entity_change() == TagChange(DATASET, True)

    def test_tag_taken_off(self) -> None:
        assert entity_change(operation="REMOVE") == TagChange(DATASET, False)

    def test_tag_on_a_field_names_the_dataset(self) -> None:
        parameters = {"parentUrn": DATASET, "fieldPath": "email"}

        assert entity_change(entity_urn=FIELD, parameters=parameters) == TagChange(DATASET, True)

    def test_tag_on_the_field_entity_itself(self) -> None:
        assert entity_change(entity_urn=FIELD) == TagChange(DATASET, True)

    @pytest.mark.parametrize(
        "more",
        [
            {"modifier": tags.DONE},
            {"modifier": tags.SUCCESS},
            {"category": "GLOSSARY_TERM"},
            {"operation": "MODIFY"},
            {"entity_urn": "urn:li:chart:(looker,x)"},
            {"entity_urn": "nonsense"},
        ],
    )
    def test_everything_else_is_ignored(self, more: dict[str, Any]) -> None:
        assert entity_change(**more) is None


def global_tags(*names: str) -> str:
    return json.dumps({"tags": [{"tag": name} for name in names]})


class TestChangeLog:
    def change(self, aspect: str, before: str | None, after: str | None) -> TagChange | None:
        return events.from_change_log(
            entity_urn=DATASET, aspect_name=aspect, before=before, after=after
        )

    def test_added(self) -> None:
        found = self.change("globalTags", None, global_tags(tags.RUN, "urn:li:tag:x"))

        assert found == TagChange(DATASET, True)

    def test_unchanged_among_other_changes(self) -> None:
        before, after = global_tags(tags.RUN), global_tags(tags.RUN, "urn:li:tag:x")

        assert self.change("globalTags", before, after) is None

    def test_the_portals_own_write_back(self) -> None:
        found = self.change("globalTags", global_tags(tags.RUN), global_tags(tags.DONE))

        assert found == TagChange(DATASET, False)

    @pytest.mark.parametrize(
        ("aspect", "name"),
        [("editableSchemaMetadata", "editableSchemaFieldInfo"), ("schemaMetadata", "fields")],
    )
    def test_on_a_second_field(self, aspect: str, name: str) -> None:
        def fields(*tagged: str) -> str:
            return json.dumps(
                {
                    name: [
                        {"fieldPath": path, "globalTags": json.loads(global_tags(tags.RUN))}
                        if path in tagged
                        else {"fieldPath": path}
                        for path in ("a", "b")
                    ]
                }
            )

        assert self.change(aspect, fields("a"), fields("a", "b")) == TagChange(DATASET, True)
        assert self.change(aspect, fields("a", "b"), fields("b")) == TagChange(DATASET, False)
        assert self.change(aspect, fields("a"), fields("a")) is None

    def test_other_aspects_are_not_even_parsed(self) -> None:
        assert self.change("status", "not json", "not json") is None


CONTRACT = Path(__file__).parents[4] / "shared/contracts/datahub/samples/events.json"


@pytest.mark.skipif(not CONTRACT.exists(), reason="the contract samples are not on this machine")
class TestContract:
    def test_every_sample_event_is_understood(self) -> None:
        samples = json.loads(CONTRACT.read_text())
        found = {}
        for name, sample in samples["entity_change_event"].items():
            event = sample["event"]
            found[name] = entity_change(
                entity_urn=event["entityUrn"],
                operation=event["operation"],
                parameters=event["parameters"],
            )
        for name, sample in samples["metadata_change_log"].items():
            event = sample["event"]
            found[name] = events.from_change_log(
                entity_urn=event["entityUrn"],
                aspect_name=event["aspectName"],
                before=(event["previousAspectValue"] or {}).get("value"),
                after=event["aspect"]["value"],
            )

        assert len(found) == 6
        for name, change in found.items():
            assert change is not None
            assert change.dataset.startswith("urn:li:dataset:(urn:li:dataPlatform:mysql,")
            assert change.added == ("removed" not in name)
