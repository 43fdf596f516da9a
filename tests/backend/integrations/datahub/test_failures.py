"""Wrong address, wrong token, bad network: each becomes one sentence that says what to do."""

import json
import logging
import socket
import ssl
import threading
import traceback
from concurrent.futures import Future
from typing import Any

import pytest
import requests

from backend.core.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from backend.core.trust import Trust
from backend.integrations.datahub import causes, gateway
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import DatasetPatch
from backend.sandbox.datahub import StandIn
from tests.backend.integrations.datahub.conftest import CUSTOMER, RUN
from tests.fixtures.breaking_tls import BEGUN, BROKEN_RECORD, PLAIN, Breaking
from tests.fixtures.certificates import self_signed

SECRET = "planted-secret-7f3a9c"  # marked, and searched for in everything that comes out


def _failure(server: str, token: str = SECRET, timeout: float = 5.0, call=None) -> UpstreamError:
    with (
        DataHubClient(server, token, timeout=timeout) as client,
        pytest.raises(UpstreamError) as failed,
    ):
        (call or (lambda each: each.probe()))(client)
    assert failed.value.system == "DataHub"
    assert token not in "".join(traceback.format_exception(failed.value))
    return failed.value


class TestAddress:
    def test_a_closed_port(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            server = f"http://127.0.0.1:{taken.getsockname()[1]}"
            failed = _failure(server)

        assert isinstance(failed, UpstreamUnavailable)
        assert "refuses connections" in failed.cause
        assert "Check the port" in failed.advice

    def test_a_name_that_dns_does_not_know(self):
        failed = _failure("http://no-such-host.invalid:8080")

        assert isinstance(failed, UpstreamUnavailable)
        assert "DNS" in failed.cause

    @pytest.mark.parametrize("server", ["127.0.0.1:8080", "gms", "ftp://gms", "http://", ""])
    def test_what_is_no_address(self, server):
        failed = _failure(server)

        assert "not a usable address" in failed.cause
        assert "http://" in failed.advice

    def test_the_web_interface_instead_of_the_metadata_service(self, gms):
        failed = _failure(gms.url + "/catalog", gms.token)

        assert "web page" in failed.cause
        assert "/api/gms" in failed.advice
        assert "8080" in failed.advice

    def test_something_that_answers_json_but_is_not_datahub(self):
        with StandIn(config={"noCode": "false"}) as other:
            failed = _failure(other.url, other.token)

        assert "web page" not in failed.cause
        assert "not the metadata service" in failed.cause
        assert "/api/gms" in failed.advice

    def test_a_wrong_path(self, gms):
        with gms.faults.inject(status=404):
            failed = _failure(gms.url)

        assert "no metadata service at this path (404)" in failed.cause
        assert "8080" in failed.advice

    def test_a_redirect_names_the_address_to_enter(self, gms):
        with gms.faults.inject(
            status=302, headers={"Location": "https://catalog.example:9002/login?session=abc"}
        ):
            failed = _failure(gms.url)

        assert "sends the request on to https://catalog.example:9002/login" in failed.cause
        assert "session" not in str(failed)

    def test_credentials_in_the_address_are_not_repeated(self):
        failed = _failure("http://admin:hunter2@no-such-host.invalid")

        assert "hunter2" not in str(failed)


class TestToken:
    def test_a_wrong_token_though_the_configuration_is_open(self, gms):
        failed = _failure(gms.url)

        assert "does not accept the token (401)" in failed.cause
        assert "Access Tokens" in failed.advice

    def test_no_token(self, gms):
        with DataHubClient(gms.url, None) as client, pytest.raises(UpstreamError, match="401"):
            client.probe()

    @pytest.mark.parametrize("token", [SECRET + "\nx", SECRET + "é", SECRET + " x"])
    def test_a_token_that_cannot_be_one_is_not_repeated(self, gms, token):
        failed = _failure(gms.url, token)

        assert SECRET not in "".join(traceback.format_exception(failed))
        assert "Paste it again" in failed.advice

    def test_a_netrc_entry_does_not_replace_the_token(self, gms, tmp_path, monkeypatch):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

        with DataHubClient(gms.url, gms.token) as client:
            assert client.probe().user_urn == "urn:li:corpuser:datahub"


class TestServer:
    def test_forbidden(self, gms):
        gms.add_token(SECRET, can_write=False)
        failed = _failure(gms.url, call=lambda each: each.list_ingestion_sources())

        assert "403" in failed.cause
        assert "administrator" in failed.advice

    @pytest.mark.parametrize("path", ["/config", "/api/graphql", "/aspects"])
    def test_an_inner_error(self, gms, path):
        gms.add_token(SECRET)
        with gms.faults.inject(status=500, path=path):
            failed = _failure(gms.url, call=lambda each: each.probe() and each.client_info())

        assert "500" in failed.cause

    def test_html_in_the_middle_of_things(self, gms):
        gms.add_token(SECRET)
        with gms.faults.inject(html=True, path="/api/graphql"):
            failed = _failure(gms.url)

        assert "web page" in failed.cause

    def test_a_query_that_this_server_does_not_know(self, gms):
        gms.add_token(SECRET)
        failed = _failure(gms.url, call=lambda each: each._gateway.query("{ me { nope } }"))

        assert "Field 'nope' in type 'AuthenticatedUser' is undefined" in failed.cause
        assert "version" in failed.advice

    def test_a_short_failure_of_a_read_is_not_even_noticed(self, gms, client):
        for fault in ({"status": 503}, {"status": 502}, {"drop": "before"}):
            with gms.faults.inject(times=1, path="/api/graphql", **fault):
                assert client.dataset(CUSTOMER).name == "customer"

    def test_a_lasting_failure_is_tried_twice_and_reported(self, gms):
        gms.add_token(SECRET)
        with gms.faults.inject(times=2, path="/config", status=503):
            failed = _failure(gms.url)
            with DataHubClient(gms.url, gms.token) as client:
                assert client.probe().server_version == "v1.7.0"  # both faults were used up

        assert isinstance(failed, UpstreamUnavailable)


class TestTime:
    @pytest.mark.parametrize("fault", [{"drip": True}, {"latency": 600}])
    def test_a_server_that_never_finishes_ends_at_the_deadline(self, gms, fault):
        with gms.faults.inject(**fault):
            failed = _failure(gms.url, timeout=0.5)

        assert isinstance(failed, UpstreamTimeout)

    def test_an_answer_of_the_last_moment_is_the_answer(self, gms, monkeypatch):
        """As on a machine that stood still: the wait is over, and the answer is there."""

        class Late(Future):
            def result(self, timeout=None):
                found = super().result(60)
                if timeout is not None:
                    raise TimeoutError
                return found

        monkeypatch.setattr(gateway, "Future", Late)
        with DataHubClient(gms.url, gms.token) as client:
            assert client.probe().server_version == "v1.7.0"

    def test_a_port_that_accepts_and_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            failed = _failure(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.5)

        assert isinstance(failed, UpstreamTimeout)
        assert "timeout" in failed.advice


class TestTls:
    def test_a_self_signed_certificate(self, tmp_path):
        with StandIn(tls=_nobody_trusts(tmp_path)) as gms:
            failed = _failure(gms.url)

        assert isinstance(failed, UpstreamUnavailable)
        assert "certificate" in failed.cause
        assert "those of the environment" in failed.advice

    def test_the_advice_works(self, tmp_path):
        with StandIn(tls=_nobody_trusts(tmp_path)) as gms:
            url = gms.url.replace("127.0.0.1", "localhost")
            trust = Trust(ca=(tmp_path / "server.pem").read_text())
            with DataHubClient(url, gms.token, trust=trust) as client:
                assert client.probe().server_version == "v1.7.0"

    def test_https_on_a_plain_port(self, gms):
        failed = _failure(gms.url.replace("http://", "https://"))

        assert "TLS" in failed.cause
        assert "http://" in failed.advice


def test_secrets_appear_in_no_log_line(gms, caplog):
    caplog.set_level(logging.DEBUG)
    gms.add_token(SECRET)
    with DataHubClient(gms.url, SECRET) as client:
        client.probe()
        client.patch_dataset(CUSTOMER, DatasetPatch(add_tags=[RUN]))
        with gms.faults.inject(status=500), pytest.raises(UpstreamError):
            client.patch_dataset(CUSTOMER, DatasetPatch(remove_tags=[RUN]))

    assert caplog.records
    assert SECRET not in caplog.text


def test_a_server_that_repeats_the_token_does_not_get_it_onto_the_page(gms):
    gms.add_token(SECRET)
    told = json.dumps({"status": 400, "message": f"bad header Bearer {SECRET}"}).encode()
    with gms.faults.inject(path="/aspects", status=400, body=told):
        failed = _failure(gms.url, call=lambda each: each.client_info())

    assert "bad header Bearer •••" in failed.cause


def test_many_threads_share_one_client(gms, client):
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(5):
                client.dataset(CUSTOMER)
                client.set_custom_property(CUSTOMER, f"k{number}", "v")
        except BaseException as exc:
            problems.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert len(client.dataset(CUSTOMER).custom_properties) == 9


def _nobody_trusts(folder) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(folder, "localhost"))
    return context


@pytest.mark.parametrize(
    ("told", "happened"),
    [
        ({"then": BROKEN_RECORD}, True),
        ({"then": PLAIN}, True),
        ({"within": BEGUN, "then": BROKEN_RECORD}, True),
        ({"read": False, "then": PLAIN}, False),
    ],
)
def test_tls_that_breaks_after_a_write_was_sent_says_that_it_may_have_happened(
    breaking_tls: Breaking, told: dict[str, Any], happened: bool
) -> None:
    """requests has one SSLError for a failed handshake and for TLS that breaks under the answer."""
    server = breaking_tls(**told)
    with pytest.raises(requests.RequestException) as failed:
        requests.post(server.url, data='{"hello": 1}', verify=str(server.certificate), timeout=60)
    assert causes.may_have_happened(failed.value) is happened
