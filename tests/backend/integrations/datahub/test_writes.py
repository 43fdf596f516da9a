"""What the adapter writes: exactly the wished entries, read back, nothing of other people lost."""

import pytest

from backend.core.errors import InvalidInput, NotFound, OutcomeUnknown, UpstreamError
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import DatasetPatch
from backend.sandbox.datahub import StandIn
from tests.backend.integrations.datahub.conftest import CUSTOMER, DONE, ORDERS, PII, RUN


class TestEnsureTag:
    def test_creates_it_once_and_leaves_what_exists(self, gms, client):
        assert client.ensure_tag(DONE, description="Tokenized") is True
        gms.store.upsert(DONE, "tagProperties", {"name": "done", "description": "by hand"})

        assert client.ensure_tag(DONE, description="Tokenized") is False
        assert gms.aspect(DONE, "tagProperties")["description"] == "by hand"

    def test_is_content_when_somebody_else_made_it_meanwhile(self, gms, client):
        # The lookup says no (once), then the creation meets an existing tag.
        gms.seed_tag(DONE)
        with gms.faults.inject(path="/aspects", status=404, times=1):
            assert client.ensure_tag(DONE) is True

    def test_refuses_what_is_no_tag(self, client):
        with pytest.raises(InvalidInput, match="not a tag URN"):
            client.ensure_tag("tokenize/done")


class TestPatchDataset:
    def test_writes_all_parts_in_one_request(self, gms, client):
        gms.seed_tag(RUN)
        seen = _count_requests(gms)

        after = client.patch_dataset(
            CUSTOMER,
            DatasetPatch(
                add_tags=[DONE],
                remove_tags=[PII],
                add_field_tags={"email": [DONE]},
                remove_field_tags={"email": [PII]},
                custom_properties={"last/run": "{}", "a": None},
                editable_description="Ganz neu: größer",
            ),
        )

        assert after.tags == (DONE,)
        assert after.field_tags == {"email": (DONE,)}
        assert after.custom_properties == {"last/run": "{}"}
        assert after.editable_description == "Ganz neu: größer"
        assert seen().count("POST /aspects") == 1

    def test_keeps_what_it_does_not_name(self, gms, client):
        context = {"tag": PII, "context": '{"by": "somebody"}'}
        gms.store.upsert(CUSTOMER, "globalTags", {"tags": [context]})

        client.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[PII, RUN]))

        assert context in gms.aspect(CUSTOMER, "globalTags")["tags"]
        assert gms.aspect(CUSTOMER, "datasetProperties")["description"] == "Who buys"

    def test_sends_nothing_when_nothing_differs(self, gms, client):
        seen = _count_requests(gms)

        client.patch_dataset(
            CUSTOMER,
            DatasetPatch(
                add_tags=[PII],
                remove_tags=[RUN],
                add_field_tags={"email": [PII]},
                remove_field_tags={"city": [PII]},
                custom_properties={"a": "1", "b": None},
            ),
        )

        assert "POST /aspects" not in seen()
        assert gms.aspect(CUSTOMER, "editableSchemaMetadata")["editableSchemaFieldInfo"] == [
            {"fieldPath": "email", "globalTags": {"tags": [{"tag": PII}]}}
        ]

    def test_reaches_a_dataset_with_letters_beyond_ascii(self, gms, client):
        urn = CUSTOMER.replace("customer", "clienté")
        gms.seed_dataset(urn, fields={"prénom": "text"})

        after = client.patch_dataset(urn, DatasetPatch(add_field_tags={"prénom": [RUN]}))

        assert after.field_tags == {"prénom": (RUN,)}
        assert not [each for each in gms.store.urns("dataset") if "\\u" in each]

    def test_reaches_a_nested_field_path_with_a_slash(self, gms, client):
        path = "[version=2.0].[type=struct].a/b"
        gms.seed_dataset(ORDERS, fields={path: "text"})

        assert client.patch_dataset(
            ORDERS, DatasetPatch(add_field_tags={path: [RUN]})
        ).field_tags == {path: (RUN,)}

    def test_makes_no_dataset_out_of_a_wrong_name(self, gms, client):
        urn = CUSTOMER.replace("customer", "nope")

        with pytest.raises(NotFound, match="no dataset"):
            client.patch_dataset(urn, DatasetPatch(add_tags=[RUN]))
        assert not gms.store.exists(urn)

    def test_refuses_a_field_that_the_schema_does_not_have(self, client):
        with pytest.raises(NotFound, match="no field 'e_mail'"):
            client.patch_dataset(CUSTOMER, DatasetPatch(add_field_tags={"e_mail": [RUN]}))

    def test_sets_and_removes_one_custom_property(self, client):
        assert client.set_custom_property(CUSTOMER, "b", "2").custom_properties == {
            "a": "1",
            "b": "2",
        }
        assert client.set_custom_property(CUSTOMER, "a", None).custom_properties == {"b": "2"}

    def test_leaves_the_ingested_description(self, client):
        after = client.patch_dataset(CUSTOMER, DatasetPatch(editable_description=""))

        assert after.description == "Who buys"

    def test_works_through_the_web_interface_proxy_that_has_no_patch_route(self, gms):
        with DataHubClient(gms.url + "/api/gms", gms.token) as client:
            assert RUN in client.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[RUN])).tags

    def test_names_what_was_accepted_but_is_not_there(self, gms, client):
        # The write goes to something that says yes to everything.
        with (
            gms.faults.inject(path="/aspects", html=True),
            pytest.raises(UpstreamError, match="does not show it: tag urn:li:tag:tokenize/run"),
        ):
            client.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[RUN]))

    def test_is_refused_without_the_privilege(self, gms):
        gms.add_token("reader", can_write=False)
        with (
            DataHubClient(gms.url, "reader") as reader,
            pytest.raises(UpstreamError, match="403") as refused,
        ):
            reader.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[RUN]))
        assert "policy" in refused.value.advice


class TestUnknownOutcome:
    def test_a_lost_answer_says_that_it_may_have_happened(self, gms, client):
        with (
            gms.faults.inject(path="/aspects", method="POST", drop="after"),
            pytest.raises(OutcomeUnknown, match="may or may not"),
        ):
            client.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[RUN]))
        assert RUN in client.dataset(CUSTOMER).tags  # it did happen

    def test_a_hanging_write_ends_at_the_deadline(self, gms, client):
        real = client._gateway.write

        def soon_given_up(call):  # the reads before it have all the time they need
            client._gateway.timeout = 0.5
            return real(call)

        client._gateway.write = soon_given_up
        with (
            gms.faults.inject(path="/aspects", method="POST", latency=600),
            pytest.raises(OutcomeUnknown, match=r"within 0\.5 s"),
        ):
            client.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[RUN]))

    def test_is_never_sent_twice(self, gms, client):
        seen = _count_requests(gms)
        with (
            gms.faults.inject(path="/aspects", method="POST", status=503),
            pytest.raises(UpstreamError),
        ):
            client.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[RUN]))
        assert seen().count("POST /aspects") == 1

    def test_a_read_back_that_fails_is_unknown_too(self, gms, client):
        client.dataset(CUSTOMER)
        real = client._gateway.write

        def write_then_break(call):
            real(call)
            gms.stop()

        client._gateway.write = write_then_break
        with pytest.raises(OutcomeUnknown, match="could not be read back"):
            client.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[RUN]))

    def test_a_refused_connection_is_a_plain_failure(self, gms, client):
        client.probe()
        gms.stop()

        with pytest.raises(UpstreamError) as failed:
            client._gateway.mutate('mutation { createTag(input: {name: "x"}) }', {})
        assert not isinstance(failed.value, OutcomeUnknown)


class TestLinks:
    def test_adds_beside_other_links_and_only_once(self, client):
        client.add_link(CUSTOMER, "https://portal.example/i?x=1&y=2", "Ingestion")
        after = client.add_link(CUSTOMER, "https://portal.example/i?x=1&y=2", "Ingestion")

        assert [link.label for link in after.links] == ["a", "Ingestion"]

    def test_keeps_a_persons_link_to_the_same_address(self, client):
        after = client.add_link(CUSTOMER, "https://wiki.example/a", "Portal")

        assert [link.label for link in after.links] == ["a", "Portal"]

    def test_removes_by_label_or_all_labels_of_an_address(self, client):
        client.add_link(CUSTOMER, "https://wiki.example/a", "Portal")
        client.add_link(CUSTOMER, "https://wiki.example/b", "b")

        one_less = client.remove_link(CUSTOMER, "https://wiki.example/a", "Portal")
        none_of_it = client.remove_link(CUSTOMER, "https://wiki.example/a")

        assert [link.label for link in one_less.links] == ["a", "b"]
        assert [link.label for link in none_of_it.links] == ["b"]

    def test_refuses_what_must_not_become_a_link(self, client):
        with pytest.raises(InvalidInput, match="http"):
            client.add_link(CUSTOMER, "javascript:alert(1)", "x")


def _count_requests(gms: StandIn):
    """Records "METHOD /first-part" of every request from now on."""
    before = len(gms.requests)
    return lambda: [
        f"{how} /{path.strip('/').split('/')[0]}" for how, path in gms.requests[before:]
    ]
