"""DataHub's PATCH on keyed arrays: the contract's vectors, and what they leave open."""

import pytest

from backend.sandbox.datahub import patch
from backend.sandbox.datahub.refusals import Refused
from tests.backend.integrations.datahub.conftest import PII, RUN

STAMP = {"time": 1700000000000, "actor": "urn:li:corpuser:datahub"}


class TestContract:
    def test_every_vector_gives_its_result(self, sample):
        cases = sample("patch-cases")["cases"]
        wrong = [case["name"] for case in cases if _outcome(case) != _expected(case)]

        assert len(cases) >= 38
        assert wrong == []


class TestApply:
    def test_leaves_the_stored_value_alone(self):
        stored = {"tags": [{"tag": PII}]}
        patch.apply("globalTags", stored, [_add(f"/tags/{_escaped(RUN)}", {"tag": RUN})], STAMP)

        assert stored == {"tags": [{"tag": PII}]}

    def test_a_failing_test_operation_refuses_the_whole_patch(self):
        with pytest.raises(Refused) as refused:
            patch.apply(
                "editableDatasetProperties",
                {"description": "old"},
                [{"op": "test", "path": "/description", "value": "older"}],
                STAMP,
            )
        assert refused.value.status == 422

    def test_moves_and_copies_as_rfc_6902_says(self):
        after = patch.apply(
            "datasetProperties",
            {"customProperties": {"a": "1"}, "tags": []},
            [
                {"op": "copy", "from": "/customProperties/a", "path": "/customProperties/b"},
                {"op": "move", "from": "/customProperties/a", "path": "/customProperties/c"},
                {"op": "replace", "path": "/customProperties/b", "value": "2"},
            ],
            STAMP,
        )

        assert after["customProperties"] == {"b": "2", "c": "1"}

    def test_generic_mode_can_be_forced_without_keys(self):
        after = patch.apply(
            "status",
            None,
            {"patch": [_add("/removed", True)], "forceGenericPatch": True},
            STAMP,
        )

        assert after == {"removed": True}

    def test_status_has_a_template_that_keeps_its_other_fields(self):
        """datahub-project/datahub#18239: what the official ingestion sends from 1.7.0 on."""
        alive = [_add("/removed", False)]

        assert patch.apply("status", None, alive, STAMP) == {"removed": False}
        stored = {"removed": True, "lifecycleStage": "urn:li:lifecycleStageType:x"}
        assert patch.apply("status", stored, alive, STAMP) == {**stored, "removed": False}

    def test_an_aspect_without_a_template_is_refused(self):
        with pytest.raises(Refused, match="Patch not supported for aspect with name"):
            patch.apply("institutionalMemory", None, [_add("/elements", [])], STAMP)

    @pytest.mark.parametrize(
        "document",
        [
            "text",
            {"patch": "text"},
            [{"op": "add"}],
            [{"op": "nonsense", "path": "/tags", "value": 1}],
            [{"op": "add", "path": "tags", "value": 1}],
            [{"op": "replace", "path": "/nothing/here", "value": 1}],
        ],
    )
    def test_refuses_what_is_no_patch(self, document):
        with pytest.raises(Refused, match=r"Invalid patch|Failed to apply patch operation"):
            patch.apply("globalTags", None, document, STAMP)

    @pytest.mark.parametrize(
        ("aspect", "default"),
        [
            ("globalTags", {"tags": []}),
            ("glossaryTerms", {"terms": [], "auditStamp": STAMP}),
            ("structuredProperties", {"properties": []}),
            (
                "editableSchemaMetadata",
                {"editableSchemaFieldInfo": [], "created": STAMP, "lastModified": STAMP},
            ),
            ("datasetProperties", {"tags": [], "customProperties": {}}),
            ("editableDatasetProperties", {"created": STAMP, "lastModified": STAMP}),
            ("dataJobInfo", {"customProperties": {}}),
            ("status", {"removed": False}),
            ("another", {}),
        ],
    )
    def test_begins_an_aspect_that_is_not_there_as_datahub_does(self, aspect, default):
        assert patch._default(aspect, STAMP) == default


class TestRefusals:
    @pytest.mark.parametrize(
        ("aspect", "document", "only_arrays", "status", "said"),
        [
            ("status", {"patch": []}, True, 500, "Invalid JSON Patch"),
            ("ownership", [], False, 400, "Patch not supported for aspect with name ownership"),
            (
                "status",
                "text",
                False,
                400,
                "Invalid patch: neither a list of operations nor an object with patch",
            ),
        ],
    )
    def test_as_datahub_says_it(self, aspect, document, only_arrays, status, said):
        with pytest.raises(Refused) as refused:
            patch.apply(aspect, None, document, STAMP, only_arrays=only_arrays)
        assert (refused.value.status, refused.value.message) == (status, said)

    def test_older_servers_take_the_array_form(self):
        after = patch.apply("status", None, [_add("/removed", True)], STAMP, only_arrays=True)
        assert after == {"removed": True}


class TestArrays:
    def test_an_array_that_was_not_there_is_one_afterwards(self):
        assert patch.apply("globalTags", {}, [], STAMP) == {"tags": []}

    def test_strings_are_their_own_keys(self):
        after = patch.apply(
            "datasetProperties",
            {"tags": ["a", "b", "c"]},
            [{"op": "remove", "path": "/tags/b"}],
            STAMP,
        )
        assert after["tags"] == ["a", "c"]

    def test_the_inner_array_is_keyed_too_and_the_stored_one_stays(self):
        field = {"fieldPath": "email", "globalTags": {"tags": [{"tag": RUN}, {"tag": PII}]}}
        stored = {"editableSchemaFieldInfo": [field]}
        path = f"/editableSchemaFieldInfo/email/globalTags/tags/{_escaped(RUN)}"
        after = patch.apply(
            "editableSchemaMetadata", stored, [{"op": "remove", "path": path}], STAMP
        )
        (info,) = after["editableSchemaFieldInfo"]
        assert info["globalTags"]["tags"] == [{"tag": PII}]
        assert len(field["globalTags"]["tags"]) == 2

    def test_generic_mode_is_that_of_the_request(self):
        document = {"patch": [_add("/tags/x", "x")], "forceGenericPatch": True}
        assert patch.apply("datasetProperties", {"tags": {}}, document, STAMP) == {
            "tags": {"x": "x"}
        }


def _outcome(case):
    try:
        after = patch.apply(case["aspect"], case["before"], case["patch"], STAMP)
    except Refused as refused:
        return case.get("error", "?") in refused.message
    for added in case.get("server_adds", {}):
        assert after.pop(added) == STAMP
    return after


def _expected(case):
    return True if "error" in case else case["after"]


def _add(path, value):
    return {"op": "add", "path": path, "value": value}


def _escaped(urn):
    return urn.replace("~", "~0").replace("/", "~1")
