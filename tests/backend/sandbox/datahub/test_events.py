"""Events for tag changes, as the contract describes them, and the long poll over them."""

import json
import threading
import time

from backend.sandbox.datahub import StandIn
from backend.sandbox.datahub.events import CHANGE_LOG, PLATFORM_EVENTS
from tests.backend.integrations.datahub.conftest import CUSTOMER, ORDERS, PII, RUN
from tests.backend.sandbox.datahub.calls import graphql, send


def _poll(gms, topic=PLATFORM_EVENTS, offset=None, wait=0, extra=""):
    path = f"/openapi/v1/events/poll?topic={topic}&pollTimeoutSeconds={wait}{extra}"
    answer = send(gms, "GET", path + (f"&offsetId={offset}" if offset else "")).json
    return answer["offsetId"], [json.loads(each["value"]) for each in answer["events"]]


def _changes(events):
    return [
        json.loads(each["payload"]["value"])
        for each in events
        if each["name"] == "entityChangeEvent"
    ]


class TestTagEvents:
    def test_a_tag_on_a_dataset_gives_the_contracts_event(self, gms, sample):
        offset, _ = _poll(gms)
        gms.store.patch(ORDERS, "globalTags", [_add(RUN)])

        _, events = _poll(gms, offset=offset)
        expected = sample("events")["entity_change_event"]["dataset_tag_added"]["event"]

        assert _timeless(_changes(events)[0]) == {**_timeless(expected), "entityUrn": ORDERS}

    def test_a_tag_on_a_field_names_field_and_dataset(self, gms, sample):
        gms.seed_tag(RUN)
        offset, _ = _poll(gms)
        on_field = {
            "tagUrn": RUN,
            "resourceUrn": CUSTOMER,
            "subResourceType": "DATASET_FIELD",
            "subResource": "email",
        }
        add = "mutation($i: TagAssociationInput!) { addTag(input: $i) }"
        remove = "mutation($i: TagAssociationInput!) { removeTag(input: $i) }"
        graphql(gms, add, {"i": on_field})
        graphql(gms, remove, {"i": on_field})

        _, events = _poll(gms, offset=offset)
        samples = sample("events")["entity_change_event"]

        assert [_timeless(each) for each in _changes(events)] == [
            _timeless(samples["field_tag_added"]["event"]),
            _timeless(samples["field_tag_removed"]["event"]),
        ]

    def test_relationships_are_told_too(self, gms):
        offset, _ = _poll(gms)
        gms.store.patch(ORDERS, "globalTags", [_add(RUN)])

        _, events = _poll(gms, offset=offset)
        told = [e for e in events if e["name"] == "relationshipChangeEvent"]

        payload = json.loads(told[0]["payload"]["value"])
        assert (payload["sourceUrn"], payload["destinationUrn"]) == (ORDERS, RUN)
        assert payload["relationshipType"] == "TaggedWith"

    def test_an_unchanged_aspect_is_silent(self, gms):
        for topic in (PLATFORM_EVENTS, CHANGE_LOG):
            offset, _ = _poll(gms, topic)
            gms.store.patch(CUSTOMER, "globalTags", [_add(PII)])
            assert _poll(gms, topic, offset)[1] == []

    def test_a_special_field_path_is_encoded_in_the_urn_only(self, gms):
        path = "[version=2.0].[type=struct].a(b,c)"
        gms.seed_dataset(ORDERS, fields={path: "text"})
        offset, _ = _poll(gms)
        gms.seed_dataset(ORDERS, fields={path: "text"}, field_tags={path: [RUN]})

        _, events = _poll(gms, offset=offset)
        change = next(each for each in _changes(events) if each["modifier"] == RUN)

        assert change["parameters"]["fieldPath"] == path
        assert change["entityUrn"] == (
            f"urn:li:schemaField:({ORDERS},[version=2.0].[type=struct].a%28b%2Cc%29)"
        )


class TestChangeLog:
    def test_holds_the_whole_aspect_and_the_previous_one(self, gms, sample):
        offset, _ = _poll(gms, CHANGE_LOG)
        gms.store.patch(CUSTOMER, "globalTags", [_add(RUN)])

        _, (event,) = _poll(gms, CHANGE_LOG, offset)
        expected = sample("events")["metadata_change_log"]["dataset_tag_added_by_sdk"]["event"]

        assert set(event) == set(expected)
        assert json.loads(event["aspect"]["value"]) == json.loads(expected["aspect"]["value"])
        assert json.loads(event["previousAspectValue"]["value"]) == {"tags": [{"tag": PII}]}
        assert event["changeType"] == "UPSERT"  # a patch reaches the log as the merged aspect

    def test_tells_what_came_through_the_web_interface(self, gms):
        gms.seed_tag(RUN)
        offset, _ = _poll(gms, CHANGE_LOG)
        graphql(
            gms,
            "mutation($i: TagAssociationInput!) { addTag(input: $i) }",
            {"i": {"tagUrn": RUN, "resourceUrn": ORDERS}},
        )

        _, (event,) = _poll(gms, CHANGE_LOG, offset)

        assert event["systemMetadata"]["properties"]["appSource"] == "ui"
        assert event["previousAspectValue"] is None


class TestPoll:
    def test_waits_for_the_next_event(self, gms):
        offset, _ = _poll(gms)
        threading.Timer(0.3, lambda: gms.store.patch(ORDERS, "globalTags", [_add(RUN)])).start()

        _, events = _poll(gms, offset=offset, wait=20)

        assert _changes(events)

    def test_does_not_answer_an_empty_list_at_once(self, gms):
        begun = time.monotonic()
        offset, events = _poll(gms, wait=0.5)

        assert events == []
        assert time.monotonic() - begun > 0.4
        assert _poll(gms, offset=offset)[0] == offset

    def test_without_an_offset_it_begins_now_or_some_days_back(self, gms):
        assert _poll(gms)[1] == []
        assert len(_changes(_poll(gms, extra="&lookbackWindowDays=1")[1])) == 2  # the seed's tags

    def test_pages_through_many_events_without_losing_one(self, gms):
        offset, _ = _poll(gms)
        for number in range(130):
            gms.store.patch(ORDERS, "globalTags", [_add(f"urn:li:tag:t{number}")])
        seen = []
        for _ in range(5):
            offset, events = _poll(gms, offset=offset)
            seen += [each["modifier"] for each in _changes(events)]

        assert seen == [f"urn:li:tag:t{number}" for number in range(130)]

    def test_an_offset_of_an_earlier_run_gets_what_came_since_the_start(self, tmp_path):
        with StandIn(state_file=tmp_path / "gms.json") as first:
            offset, _ = _poll(first)
        with StandIn(state_file=tmp_path / "gms.json") as second:
            second.seed_dataset(ORDERS, tags=[RUN])
            _, events = _poll(second, offset=offset)

        assert [each["modifier"] for each in _changes(events)] == [RUN]

    def test_needs_the_privilege_and_a_known_topic(self, gms):
        gms.add_token("reader", can_write=False)

        assert send(gms, "GET", "/openapi/v1/events/poll?topic=x").status == 400
        forbidden = send(
            gms, "GET", f"/openapi/v1/events/poll?topic={PLATFORM_EVENTS}", token="reader"
        )
        assert forbidden.status == 403


def _add(tag):
    return {"op": "add", "path": f"/tags/{tag.replace('/', '~1')}", "value": {"tag": tag}}


def _timeless(event):
    return {**event, "auditStamp": {**event["auditStamp"], "time": 0}}
