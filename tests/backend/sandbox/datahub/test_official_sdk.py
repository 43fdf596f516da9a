"""DataHub's own SDK works against the stand-in, through both of its write transports."""

import json
import urllib.error
import urllib.request
from urllib.parse import unquote

import pytest

from backend.integrations.datahub import sdk
from backend.sandbox.datahub import StandIn
from tests.backend.integrations.datahub.conftest import CUSTOMER, NIGHTLY, ORDERS, PII, RUN

STATUS = "urn:li:structuredProperty:io.portal.status"


@pytest.fixture(params=["restli", "openapi"])
def graph(request, gms: StandIn):
    sdk.load()
    from datahub.ingestion.graph.client import DataHubGraph
    from datahub.ingestion.graph.config import DatahubClientConfig

    made = DataHubGraph(
        DatahubClientConfig(
            server=gms.url,
            token=gms.token,
            retry_max_times=0,
            openapi_ingestion=request.param == "openapi",
        )
    )
    yield made
    made.close()


class TestReads:
    def test_aspects_existence_and_entities(self, gms, graph):
        from datahub.metadata.schema_classes import TelemetryClientIdClass

        graph.test_connection()
        assert graph.exists(CUSTOMER)
        assert not graph.exists(CUSTOMER.replace("customer", "nope"))
        assert [f.fieldPath for f in graph.get_schema_metadata(CUSTOMER).fields] == [
            "id",
            "email",
            "city",
        ]
        assert graph.get_tags(CUSTOMER).tags[0].tag == PII
        assert graph.get_tags(ORDERS) is None
        assert graph.get_aspect("urn:li:telemetry:clientId", TelemetryClientIdClass).clientId
        semityped = graph.get_entity_semityped(CUSTOMER, aspects=["globalTags", "status"])
        assert set(semityped) == {"globalTags", "datasetKey"}
        found = graph.get_entities("dataset", [CUSTOMER, ORDERS], aspects=["globalTags"])
        assert found[CUSTOMER]["globalTags"][0].tags[0].tag == PII

    def test_filter_by_tag_and_graphql(self, gms, graph):
        gms.seed_dataset(ORDERS, fields={"id": "int"}, field_tags={"id": [RUN]})
        rule = {"field": "tags", "condition": "EQUAL", "values": [RUN]}

        urns = list(graph.get_urns_by_filter(entity_types=["dataset"], extraFilters=[rule]))
        me = graph.execute_graphql(
            "query getMe { me { corpUser { urn } } }", operation_name="getMe"
        )

        assert urns == [ORDERS]
        assert me["me"]["corpUser"]["urn"] == "urn:li:corpuser:datahub"

    def test_a_graphql_error_reaches_the_sdk_as_one(self, graph):
        from datahub.configuration.common import GraphError

        with pytest.raises(GraphError, match="Urn does not exist"):
            graph.execute_graphql(
                "mutation a($i: TagAssociationInput!) { addTag(input: $i) }",
                {"i": {"tagUrn": "urn:li:tag:none", "resourceUrn": CUSTOMER}},
            )


class TestPatches:
    def test_tags_properties_texts_and_fields(self, gms, graph):
        from datahub.metadata.schema_classes import TagAssociationClass
        from datahub.specific.dataset import DatasetPatchBuilder

        builder = DatasetPatchBuilder(CUSTOMER)
        builder.add_tag(TagAssociationClass(tag=RUN)).remove_tag(PII)
        builder.add_custom_property("portal.state", "ready").remove_custom_property("a")
        builder.set_description("Edited", editable=True)
        builder.for_field("city").add_tag(TagAssociationClass(tag=RUN))
        graph.emit_mcps(builder.build())

        assert gms.aspect(CUSTOMER, "globalTags") == {"tags": [{"tag": RUN}]}
        properties = gms.aspect(CUSTOMER, "datasetProperties")
        assert properties["customProperties"] == {"portal.state": "ready"}
        assert properties["description"] == "Who buys"
        assert gms.aspect(CUSTOMER, "editableDatasetProperties")["description"] == "Edited"
        fields = gms.aspect(CUSTOMER, "editableSchemaMetadata")["editableSchemaFieldInfo"]
        assert {each["fieldPath"] for each in fields} == {"email", "city"}

    def test_structured_properties_and_links(self, gms, graph):
        from datahub.emitter.mcp_patch_builder import MetadataPatchProposal
        from datahub.metadata.schema_classes import (
            AuditStampClass,
            InstitutionalMemoryMetadataClass,
        )
        from datahub.specific.aspect_helpers.institutional_memory import HasInstitutionalMemoryPatch
        from datahub.specific.aspect_helpers.structured_properties import (
            HasStructuredPropertiesPatch,
        )
        from datahub.specific.dataset import DatasetPatchBuilder

        class JobPatch(HasStructuredPropertiesPatch, MetadataPatchProposal):
            pass

        class LinkPatch(HasInstitutionalMemoryPatch, DatasetPatchBuilder):
            pass

        gms.seed_data_job(NIGHTLY)
        gms.seed_structured_property(STATUS)
        link = InstitutionalMemoryMetadataClass(
            url="https://wiki.example/runbook",
            description="runbook",
            createStamp=AuditStampClass(time=1, actor="urn:li:corpuser:datahub"),
        )
        graph.emit_mcps(JobPatch(NIGHTLY).set_structured_property(STATUS, "ok").build())
        graph.emit_mcps(LinkPatch(CUSTOMER).add_institutional_memory(link).build())

        assert gms.aspect(NIGHTLY, "structuredProperties")["properties"][0]["values"] == [
            {"string": "ok"}
        ]
        links = gms.aspect(CUSTOMER, "institutionalMemory")["elements"]
        assert [each["description"] for each in links] == ["a", "runbook"]

    def test_an_undefined_structured_property_is_refused(self, gms, graph):
        from datahub.configuration.common import OperationalError
        from datahub.emitter.mcp_patch_builder import MetadataPatchProposal
        from datahub.specific.aspect_helpers.structured_properties import (
            HasStructuredPropertiesPatch,
        )

        class JobPatch(HasStructuredPropertiesPatch, MetadataPatchProposal):
            pass

        with pytest.raises(OperationalError):
            graph.emit_mcps(JobPatch(NIGHTLY).set_structured_property(STATUS, "ok").build())


class TestEntities:
    def test_whole_aspects_and_deletion(self, gms, graph):
        from datahub.emitter.mcp import MetadataChangeProposalWrapper
        from datahub.metadata.schema_classes import StatusClass, TagPropertiesClass

        graph.emit_mcp(
            MetadataChangeProposalWrapper(
                entityUrn=RUN, aspect=TagPropertiesClass(name="tokenize/run")
            )
        )
        graph.emit_mcp(
            MetadataChangeProposalWrapper(entityUrn=CUSTOMER, aspect=StatusClass(removed=False))
        )
        graph.soft_delete_entity(CUSTOMER)
        rows, _ = graph.hard_delete_entity(ORDERS)

        assert gms.aspect(RUN, "tagProperties")["name"] == "tokenize/run"
        assert gms.aspect(CUSTOMER, "status") == {"removed": True}
        assert rows > 0
        assert not gms.store.exists(ORDERS)

    @pytest.mark.filterwarnings("ignore:The new datahub SDK")
    def test_the_newer_client(self, gms, graph):
        from datahub.sdk import DataHubClient, Tag

        client = DataHubClient(graph=graph)
        dataset = client.entities.get(CUSTOMER)
        assert dataset.description == "Who buys"
        dataset.set_description("Changed")
        client.entities.update(dataset)
        client.entities.upsert(Tag(name="tokenize/run", description="Run tokenization"))
        client.entities.delete(ORDERS)

        assert client.entities.get(CUSTOMER).description == "Changed"
        assert gms.aspect(RUN, "tagProperties")["description"] == "Run tokenization"
        assert gms.aspect(ORDERS, "status") == {"removed": True}
        assert CUSTOMER in [str(urn) for urn in client.search.get_urns()]


class TestCaptures:
    def test_every_captured_request_is_answered_in_the_captured_shape(self, gms, sample):
        problems, count = [], 0
        for capture in sample("sdk-requests")["captures"]:
            _prepare(gms, capture)
            for request in capture["requests"]:
                count += 1
                status, body = _send(gms, request)
                if not _fits(capture["name"], request, status, body):
                    problems.append((capture["name"], status, body))
        assert count > 50
        assert problems == []


# The capturing stub said yes to everything; a server that validates refuses a text and a number
# in one structured property.
_REFUSED = {"patch.dataJob.set_structured_property"}


def _prepare(gms: StandIn, capture: dict) -> None:
    """The state the capture was made in: what it looks up in vain is not there."""
    gms.seed_dataset(CUSTOMER, fields={"email": "varchar(255)"}, tags=[PII])
    gms.seed_data_job(NIGHTLY)
    gms.seed_structured_property(STATUS, multiple=True)
    client_id = {"clientId": "00000000-0000-0000-0000-000000000000"}
    gms.store.upsert("urn:li:telemetry:clientId", "telemetryClientId", client_id)
    for request in capture["requests"]:
        if request["response"]["status"] == 404:
            gms.store.delete(unquote(request["path"].removeprefix("/aspects/")))


def _fits(name: str, request: dict, status: int, body: object) -> bool:
    expected = request["response"]
    if name in _REFUSED:
        return status in (400, 422)
    if request["method"] != "GET" and expected["status"] == 200:
        return 200 <= status < 300  # the SDK accepts any 2xx and ignores the body of a write
    return status == expected["status"] and _covers(body, expected["body"])


def _send(gms: StandIn, captured: dict) -> tuple[int, object]:
    query = f"?{captured['query']}" if captured.get("query") else ""
    request = urllib.request.Request(  # the stand-in on loopback
        gms.url + captured["path"] + query,
        method=captured["method"],
        data=json.dumps(captured["body"]).encode() if "body" in captured else None,
        headers={"Authorization": f"Bearer {gms.token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, text = refused.code, refused.read()
    return status, json.loads(text) if text else None


def _covers(body: object, expected: object) -> bool:
    """Whether every key of the expected shape is there, with the same kind of value."""
    if isinstance(expected, dict):
        return isinstance(body, dict) and all(
            name in body and _covers(body[name], value)
            for name, value in expected.items()
            if name not in ("customProperties", "aspects", "datahub", "telemetry", "globalTags")
        )
    return type(body) is type(expected)
