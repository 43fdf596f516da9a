"""The stand-in as a server: who may ask, what it refuses, what it keeps, what it shows."""

import json
import time

import pytest

from backend.core.errors import NotFound, UpstreamError
from backend.integrations.datahub.client import DataHubClient
from backend.sandbox.datahub import StandIn
from tests.backend.integrations.datahub.conftest import CUSTOMER, ORDERS, PII, RUN
from tests.backend.sandbox.datahub.calls import send

PROPOSAL = {
    "entityType": "dataset",
    "entityUrn": ORDERS,
    "changeType": "UPSERT",
    "aspectName": "status",
    "aspect": {"value": '{"removed": true}', "contentType": "application/json"},
}


class TestTokens:
    def test_the_configuration_is_open_and_everything_else_is_not(self, gms):
        assert send(gms, "GET", "/config", token=None).json["noCode"] == "true"
        for method, path in (
            ("GET", "/aspects/urn%3Ali%3Atag%3Apii?aspect=tagKey&version=0"),
            ("GET", "/entitiesV2/urn%3Ali%3Atag%3Apii"),
            ("POST", "/api/graphql"),
            ("GET", "/openapi/v1/events/poll"),
            ("POST", "/entities?action=delete"),
        ):
            for token in (None, "wrong", ""):
                answer = send(gms, method, path, {} if method == "POST" else None, token=token)
                assert answer.status == 401
                assert "Unauthorized to perform this action." in answer.text

    def test_the_configuration_has_the_contracts_keys(self, gms, sample):
        ours = send(gms, "GET", "/config", token=None).json
        typical = sample("gms-config")["typical_oss"]

        assert set(ours) == set(typical)
        assert {name: type(value) for name, value in ours.items()} == {
            name: type(value) for name, value in typical.items()
        }

    def test_a_reader_may_not_write(self, gms):
        gms.add_token("reader", can_write=False)
        answer = send(
            gms, "POST", "/aspects?action=ingestProposal", {"proposal": PROPOSAL}, token="reader"
        )

        assert answer.status == answer.json["status"] == 403
        assert set(answer.json) == {"exceptionClass", "message", "status", "stackTrace"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"aspectName": "tagProperties"}, 400),
            ({"aspectName": "nothing"}, 400),
            ({"entityType": "tag"}, 400),
            ({"entityUrn": "urn:li:dataset:("}, 400),
            ({"aspect": {"value": "not json"}}, 400),
            ({"aspect": None}, 400),
            ({"aspect": {"value": "{}"}, "aspectName": "globalTags"}, 422),
            ({"changeType": "CREATE_ENTITY"}, 422),
        ],
    )
    def test_a_proposal_that_datahub_would_not_take(self, gms, change, status):
        answer = send(
            gms, "POST", "/aspects?action=ingestProposal", {"proposal": {**PROPOSAL, **change}}
        )

        assert answer.status == status
        assert answer.json["status"] == status
        assert gms.aspect(ORDERS, "status") is None

    def test_validation_is_400_on_openapi(self, gms, sample):
        answer = send(
            gms,
            "POST",
            "/openapi/v3/entity/dataset?async=false",
            [{"urn": ORDERS, "globalTags": {"value": {}}}],
        )

        assert answer.status == 400
        assert answer.json["error"] == sample("errors")["openapi"]["400"]["error"]

    def test_a_batch_is_refused_as_a_whole_only_where_it_fails(self, gms):
        bad = {**PROPOSAL, "aspectName": "nothing"}
        answer = send(
            gms, "POST", "/aspects?action=ingestProposalBatch", {"proposals": [PROPOSAL, bad]}
        )

        assert answer.status == 400

    def test_unknown_places(self, gms):
        assert send(gms, "POST", "/aspects?action=nope", {}).status == 404
        assert send(gms, "GET", "/openapi/v3/nope").status == 404
        assert send(gms, "GET", "/api/nope").status == 404
        assert "text/html" in send(gms, "GET", "/login").headers["Content-Type"]

    def test_the_proxy_of_the_web_interface_has_no_patch(self, gms):
        path = "/api/gms/openapi/v3/entity/dataset?async=false"

        assert send(gms, "PATCH", path, []).status == 404
        assert send(gms, "POST", path, []).status == 200

    def test_entities_v2_shows_a_key_even_for_what_does_not_exist(self, gms):
        urn = "urn%3Ali%3Atag%3Anope"
        answer = send(gms, "GET", f"/entitiesV2/{urn}")

        assert answer.json["aspects"]["tagKey"]["value"] == {"name": "nope"}
        assert send(gms, "GET", f"/aspects/{urn}?aspect=tagKey&version=0").status == 404


class TestState:
    def test_survives_a_restart(self, tmp_path):
        state = tmp_path / "new" / "gms.json"
        with StandIn(state_file=state) as first:
            first.seed_dataset(CUSTOMER, fields={"id": "int"}, tags=[PII])
            token = first.token
        with StandIn(state_file=state, token=token) as second:
            assert second.aspect(CUSTOMER, "globalTags") == {"tags": [{"tag": PII}]}
            assert send(second, "GET", f"/dataset/{CUSTOMER}/", token=None).status == 200
        assert [each.name for each in state.parent.iterdir()] == ["gms.json"]

    def test_saves_before_it_answers(self, tmp_path):
        state = tmp_path / "gms.json"
        with StandIn(state_file=state) as gms:
            gms.seed_dataset(ORDERS)
            send(gms, "POST", "/aspects?action=ingestProposal", {"proposal": PROPOSAL})
            saved = json.loads(state.read_text("utf-8"))  # as a killed process would leave it

        assert saved[ORDERS]["status"]["value"] == {"removed": True}

    def test_can_start_again_on_the_same_port(self):
        with StandIn() as first:
            port = int(first.url.rsplit(":", 1)[1])
        with StandIn(port) as second:
            assert send(second, "GET", "/health", token=None).status == 200


class TestIndexLag:
    def test_search_is_behind_writes_except_those_that_ask_to_be_seen(self):
        with StandIn(index_lag_seconds=3600) as gms:
            gms.seed_dataset(ORDERS)
            assert _found(gms) == 0
            urgent = {
                "urn": CUSTOMER,
                "status": {
                    "value": {"removed": False},
                    "headers": {"X-DataHub-Sync-Index-Update": "true"},
                },
            }
            send(gms, "POST", "/openapi/v3/entity/dataset?async=false", [urgent])
            assert _found(gms) == 1

    def test_search_follows_when_the_lag_is_over(self):
        with StandIn(index_lag_seconds=0.05) as gms:
            gms.seed_dataset(ORDERS)
            deadline = time.monotonic() + 60
            while _found(gms) == 0 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert _found(gms) == 1


class TestPages:
    def test_a_dataset_can_be_looked_at_without_a_token(self, gms):
        gms.seed_dataset(
            CUSTOMER,
            fields={"email": "text"},
            field_tags={"email": [RUN]},
            editable_description="All *customers*",
            custom_properties={"last_tokenization_run": "{}"},
        )
        page = send(gms, "GET", f"/dataset/{CUSTOMER}/", token=None)

        assert page.status == 200
        for part in ("tokenize/run", "All *customers*", "email", "last_tokenization_run", "wiki"):
            assert part in page.text

    def test_nothing_stored_becomes_markup(self, gms):
        evil = "<script>alert(1)</script>"
        gms.seed_dataset(
            ORDERS,
            name=evil,
            fields={evil: evil},
            editable_description=evil,
            custom_properties={evil: evil},
            tags=[f"urn:li:tag:{evil}"],
            links=[("javascript:alert(1)", evil), (f"https://x/'{evil}", evil)],
        )
        page = send(gms, "GET", f"/dataset/{ORDERS}/", token=None)
        everything = send(gms, "GET", "/dataset", token=None)

        assert "<script" not in page.text + everything.text
        assert "href='javascript" not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]

    def test_an_unknown_dataset_is_a_404(self, gms):
        assert send(gms, "GET", "/dataset/urn:li:dataset:(a,b,c)/", token=None).status == 404


class TestIngestion:
    def test_runs_go_from_pending_to_their_end(self):
        with StandIn(execution_seconds=3600) as gms, DataHubClient(gms.url, gms.token) as client:
            source = gms.seed_ingestion_source("shop", "mysql", cron="0 3 * * *")
            failing = gms.seed_ingestion_source("broken", "mysql")
            gms.executor.outcomes[failing] = "FAILURE"

            good, bad = (client.create_execution_request(each) for each in (source, failing))
            assert _states(client, good, bad) == ["PENDING", "PENDING"]
            _requested_earlier(gms, good, seconds=600)
            assert _states(client, good, bad) == ["RUNNING", "PENDING"]
            for run in (good, bad):
                _requested_earlier(gms, run, seconds=3600)
            assert _states(client, good, bad) == ["SUCCESS", "FAILURE"]
            done = client.execution_request(good)
            page = client.list_ingestion_sources()

        assert done.started_at >= done.requested_at
        assert "Execution finished" in done.report
        assert [each.name for each in page.items] == ["shop", "broken"]
        assert page.items[0].schedule == "0 3 * * * UTC"
        assert page.items[1].last_execution.status == "FAILURE"

    def test_a_cancelled_run_stays_cancelled(self):
        with StandIn(execution_seconds=3600) as gms, DataHubClient(gms.url, gms.token) as client:
            source = gms.seed_ingestion_source("shop", "mysql")
            run = client.create_execution_request(source)

            client.cancel_execution_request(source, run)
            assert _states(client, run) == ["CANCELLED"]
            _requested_earlier(gms, run, seconds=3600)
            assert _states(client, run) == ["CANCELLED"]

    def test_unknown_sources_and_runs_are_named(self):
        with StandIn() as gms, DataHubClient(gms.url, gms.token) as client:
            with pytest.raises(UpstreamError, match="Failed to find ingestion source"):
                client.create_execution_request("urn:li:dataHubIngestionSource:none")
            with pytest.raises(NotFound, match="no ingestion run"):
                client.execution_request("urn:li:dataHubExecutionRequest:none")


def _requested_earlier(gms, urn, *, seconds: int) -> None:
    request = gms.aspect(urn, "dataHubExecutionRequestInput")
    earlier = {**request, "requestedAt": request["requestedAt"] - seconds * 1000}
    gms.store.upsert(urn, "dataHubExecutionRequestInput", earlier)


def _states(client, *urns):
    return [client.execution_request(urn).status for urn in urns]


def _found(gms) -> int:
    return len(gms.index.find(["DATASET"], "*", None))
