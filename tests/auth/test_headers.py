"""Security headers and the nonce cookie, over real HTTP."""

import base64
import hashlib
import re

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from auth import inline, ticket_form
from auth.headers import SecurityHeaders, page_policy

HTML = {"accept": "text/html,application/xhtml+xml"}


class TestSecurityHeaders:
    @pytest.mark.parametrize("path", ["/", "/api/things", "/auth/sign-in", "/not-there"])
    def test_are_on_every_answer_also_on_errors(self, site: str, path: str) -> None:
        headers = httpx.get(site + path, headers=HTML).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "strict-transport-security" not in headers

    def test_https_is_remembered_by_the_browser(self, https_site: str) -> None:
        headers = httpx.get(https_site + "/", headers=HTML).headers
        assert "max-age=31536000" in headers["strict-transport-security"]

    def test_answers_with_data_are_not_kept(self, site: str) -> None:
        assert httpx.get(site + "/api/things").headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("path", ["/", "/api/docs", "/api/docsx/../things", "/api/things"])
    def test_nothing_may_load_from_elsewhere(self, site: str, path: str) -> None:
        policy = httpx.get(site + path).headers["content-security-policy"]
        assert "https:" not in policy
        assert "http:" not in policy

    @pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/agent/threads"])
    def test_streamlits_figures_of_the_process_are_closed(self, site: str, path: str) -> None:
        answer = httpx.get(site + path)
        assert answer.status_code == 404
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/media/1.csv", "/mcp", "/metrics", "/trigger", "/api/runs"])
def test_what_holds_the_portals_data_is_in_no_cache(path: str) -> None:
    client = TestClient(SecurityHeaders(PlainTextResponse("a,b")))
    assert client.get(path).headers["cache-control"] == "no-store"


class TestPagePolicy:
    def test_runs_the_portals_own_inline_scripts_and_no_others(self) -> None:
        (scripts,) = re.findall(r"script-src ([^;]+)", page_policy())
        assert "unsafe" not in scripts
        for script in (*ticket_form.SCRIPTS, *inline.SCRIPTS):
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in scripts

    def test_knows_the_inline_script_of_the_installed_streamlit(self) -> None:
        (scripts,) = re.findall(r"script-src ([^;]+)", page_policy())
        assert scripts.count("sha256-") == len(ticket_form.SCRIPTS) + len(inline.SCRIPTS) + 1


class TestNonce:
    def test_a_page_visit_gets_one_that_scripts_cannot_read(self, site: str) -> None:
        (cookie,) = httpx.get(site + "/", headers=HTML).headers.get_list("set-cookie")
        assert cookie.startswith("portal_browser=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert len(cookie.split(";")[0]) > 40

    def test_everybody_gets_another_one(self, site: str) -> None:
        made = {httpx.get(site + "/", headers=HTML).headers["set-cookie"] for _ in range(5)}
        assert len(made) == 5

    def test_one_that_is_there_stays(self, site: str) -> None:
        headers = {**HTML, "cookie": "portal_browser=mine"}
        assert "set-cookie" not in httpx.get(site + "/", headers=headers).headers

    def test_programs_and_the_api_get_none(self, site: str) -> None:
        assert "set-cookie" not in httpx.get(site + "/api/things").headers
        assert "set-cookie" not in httpx.post(site + "/", headers=HTML).headers

    def test_on_https_it_is_bound_to_the_host(self, https_site: str) -> None:
        (cookie,) = httpx.get(https_site + "/", headers=HTML).headers.get_list("set-cookie")
        assert cookie.startswith("__Host-portal_browser=")
        assert "Secure" in cookie
        assert "Domain" not in cookie


def test_an_address_with_a_zero_byte_is_refused_before_streamlit_looks_for_its_file(
    site: str,
) -> None:
    for path in ("/%00", "/static/a%00.js", "/mounts%00"):
        answer = httpx.get(site + path)
        assert (answer.status_code, answer.text) == (400, "No address has a %00. Correct it.")
        assert answer.headers["x-content-type-options"] == "nosniff"
