"""The stand-in's GraphQL: the contract's operations, its errors, and the checks of mutations."""

import json

import pytest
from graphql import parse, print_ast

from tests.backend.integrations.datahub.conftest import CUSTOMER, NIGHTLY, ORDERS, PII, RUN
from tests.backend.sandbox.datahub.calls import graphql, send

ADD = "mutation a($input: TagAssociationInput!) { addTag(input: $input) }"
REMOVE = "mutation r($input: TagAssociationInput!) { removeTag(input: $input) }"
LINK = "mutation l($input: AddLinkInput!) { addLink(input: $input) }"
UPSERT_LINK = "mutation l($input: UpsertLinkInput!) { upsertLink(input: $input) }"


class TestContract:
    def test_all_operations_run_with_their_example_variables(self, gms, contract):
        folder = contract / "graphql-operations"
        document = parse((folder / "operations.graphql").read_text("utf-8"))
        variables = json.loads((folder / "variables.json").read_text("utf-8"))
        gms.seed_data_job(NIGHTLY)
        source = gms.seed_ingestion_source("mysql-shop", "mysql")
        created = _run(
            gms,
            document,
            "createIngestionExecutionRequest",
            {"input": {"ingestionSourceUrn": source}},
        )["createIngestionExecutionRequest"]
        variables["executionRequest"]["urn"] = created
        for name in ("createIngestionExecutionRequest", "cancelIngestionExecutionRequest"):
            variables[name]["input"]["ingestionSourceUrn"] = source
        variables["cancelIngestionExecutionRequest"]["input"]["executionRequestUrn"] = created

        names = [each.name.value for each in document.definitions]
        answers = {name: _run(gms, document, name, variables[name]) for name in names}

        assert len(answers) == 24
        assert [name for name, data in answers.items() if list(data.values()) == [None]] == []
        assert answers["dataset"]["dataset"]["exists"] is True
        assert gms.aspect(NIGHTLY, "structuredProperties") == {"properties": []}  # removed last

    def test_errors_have_the_contracts_shape(self, gms, sample):
        expected = sample("errors")["graphql"]
        gms.add_token("reader", can_write=False)
        on_dataset = {"input": {"tagUrn": RUN, "resourceUrn": CUSTOMER}}

        missing = graphql(gms, ADD, on_dataset)
        refused = graphql(gms, ADD, on_dataset, token="reader")
        unknown = graphql(gms, "query($u: String!) { dataset(urn: $u) { nope } }", {"u": CUSTOMER})

        for answer, name in (
            (missing, "bad_request"),
            (refused, "unauthorized"),
            (unknown, "validation (unknown field)"),
        ):
            ours, theirs = answer["errors"][0], expected[name]["errors"][0]
            assert set(answer) == set(expected[name])
            assert set(ours) == set(theirs)
            assert ours["message"] == theirs["message"]
            assert ours["extensions"] == theirs["extensions"]
            assert answer["data"] == expected[name]["data"]

    @pytest.mark.parametrize("body", [b"not json", b"[]", b'{"nothing": 1}'])
    def test_no_query_is_a_400(self, gms, body):
        assert send(gms, "POST", "/api/graphql", body).status == 400


class TestQueries:
    def test_an_unknown_dataset_is_an_object_that_does_not_exist(self, gms):
        urn = CUSTOMER.replace("customer", "nope")
        data = graphql(
            gms,
            "query($u: String!) { dataset(urn: $u) "
            "{ exists tags { tags { tag { urn } } } properties { name } } }",
            {"u": urn},
        )["data"]

        assert data["dataset"] == {"exists": False, "tags": None, "properties": None}

    def test_facets_count_values(self, gms):
        data = graphql(
            gms,
            '{ searchAcrossEntities(input: {types: [DATASET], query: "*"}) '
            "{ total facets { field aggregations { value count } } } }",
        )["data"]["searchAcrossEntities"]
        counts = {
            facet["field"]: {each["value"]: each["count"] for each in facet["aggregations"]}
            for facet in data["facets"]
        }

        assert data["total"] == 2
        assert counts["platform"] == {"urn:li:dataPlatform:mysql": 2}
        assert counts["tags"] == {PII: 1}

    @pytest.mark.parametrize(
        ("rule", "found"),
        [
            ('{field: "platform", values: ["urn:li:dataPlatform:mysql"]}', 2),
            ('{field: "platform", values: ["urn:li:dataPlatform:mysql"], negated: true}', 0),
            ('{field: "name", condition: CONTAIN, values: ["CUST"]}', 1),
            ('{field: "name", condition: START_WITH, values: ["ord"]}', 1),
            ('{field: "name", condition: END_WITH, values: ["er"]}', 1),
            ('{field: "name", condition: IEQUAL, values: ["ORDERS"]}', 1),
            ('{field: "tags", condition: EXISTS}', 1),
            ('{field: "fieldTags", condition: IN, values: ["urn:li:tag:pii"]}', 1),
            ('{field: "env", values: ["PROD"]}', 2),
            ('{field: "customProperties", values: ["a=1"]}', 1),
            ('{field: "no_such_field", values: ["x"]}', 0),
        ],
    )
    def test_filters(self, gms, rule, found):
        data = graphql(
            gms,
            'query { search(input: {type: DATASET, query: "*", orFilters: [{and: ['
            + rule
            + "]}]}) { total } }",
        )

        assert data["data"]["search"]["total"] == found

    def test_a_page_past_the_window_fails(self, gms):
        answer = graphql(
            gms, '{ search(input: {type: DATASET, query: "*", start: 9999, count: 2}) { total } }'
        )

        assert "Result window" in answer["errors"][0]["message"]

    def test_introspection_answers(self, gms):
        data = graphql(gms, '{ __type(name: "SearchFlags") { inputFields { name } } }')["data"]

        assert {"name": "skipHighlighting"} in data["__type"]["inputFields"]

    def test_users_are_listed(self, gms):
        answer = graphql(
            gms, '{ listUsers(input: {query: "*"}) { total users { username isNativeUser } } }'
        )

        assert answer["data"]["listUsers"]["users"] == [
            {"username": "datahub", "isNativeUser": False}
        ]


class TestTagMutations:
    def test_add_and_remove_on_a_field(self, gms):
        gms.seed_tag(RUN)
        on_email = {
            "tagUrn": RUN,
            "resourceUrn": CUSTOMER,
            "subResourceType": "DATASET_FIELD",
            "subResource": "email",
        }

        assert graphql(gms, ADD, {"input": on_email})["data"] == {"addTag": True}
        fields = gms.aspect(CUSTOMER, "editableSchemaMetadata")["editableSchemaFieldInfo"]
        assert fields[0]["globalTags"]["tags"] == [{"tag": PII}, {"tag": RUN}]
        graphql(gms, REMOVE, {"input": on_email})
        fields = gms.aspect(CUSTOMER, "editableSchemaMetadata")["editableSchemaFieldInfo"]
        assert fields[0]["globalTags"]["tags"] == [{"tag": PII}]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"tagUrn": "urn:li:tag:none"}, "Urn does not exist"),
            ({"resourceUrn": CUSTOMER.replace("customer", "x")}, "Entity does not exist"),
            ({"subResource": "email"}, "without subResourceType"),
            ({"subResource": "nope", "subResourceType": "DATASET_FIELD"}, "does not exist in"),
        ],
    )
    def test_is_checked(self, gms, change, words):
        gms.seed_tag(RUN)
        given = {"tagUrn": RUN, "resourceUrn": CUSTOMER, **change}

        answer = graphql(gms, ADD, {"input": given})

        assert words in answer["errors"][0]["message"]
        assert answer["data"] == {"addTag": None}

    def test_the_narrow_privilege_is_enough_for_tags_only(self, gms):
        gms.seed_tag(RUN)
        gms.add_token("tagger", can_write=False, can_tag=True)
        given = {"input": {"tagUrn": RUN, "resourceUrn": ORDERS}}

        assert graphql(gms, ADD, given, token="tagger")["data"] == {"addTag": True}
        proposal = {"urn": ORDERS, "status": {"value": {"removed": True}}}
        written = send(
            gms, "POST", "/openapi/v3/entity/dataset?async=false", [proposal], token="tagger"
        )
        assert written.status == 403

    def test_the_creator_of_a_tag_owns_it(self, gms):
        query = 'mutation { createTag(input: {id: "a/b", name: "A"}) }'

        assert graphql(gms, query)["data"] == {"createTag": "urn:li:tag:a/b"}
        assert gms.aspect("urn:li:tag:a/b", "ownership")["owners"][0]["owner"] == (
            "urn:li:corpuser:datahub"
        )
        assert graphql(gms, query)["errors"][0]["message"] == "This Tag already exists!"


class TestLinkMutations:
    def test_the_same_pair_is_refused_by_add_and_updated_by_upsert(self, gms):
        same = {
            "input": {"linkUrl": "https://wiki.example/a", "label": "a", "resourceUrn": CUSTOMER}
        }
        other = {"input": {**same["input"], "label": "b"}}

        assert "already exists" in graphql(gms, LINK, same)["errors"][0]["message"]
        graphql(gms, UPSERT_LINK, same)
        graphql(gms, UPSERT_LINK, other)
        labels = [
            each["description"] for each in gms.aspect(CUSTOMER, "institutionalMemory")["elements"]
        ]
        assert labels == ["a", "b"]

    def test_only_harmless_schemes(self, gms):
        given = {"input": {"linkUrl": "javascript:x", "label": "a", "resourceUrn": CUSTOMER}}

        assert "Invalid link URL" in graphql(gms, LINK, given)["errors"][0]["message"]


def _run(gms, document, name, variables):
    operation = next(each for each in document.definitions if each.name.value == name)
    answer = send(
        gms,
        "POST",
        "/api/graphql",
        {"query": print_ast(operation), "operationName": name, "variables": variables},
    ).json
    assert "errors" not in answer, (name, answer["errors"])
    return answer["data"]
