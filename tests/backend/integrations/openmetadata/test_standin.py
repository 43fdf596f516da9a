"""The stand-in does to users what the contract says a server does, version by version."""

import json
from pathlib import Path

import httpx
import pytest

from backend.sandbox.openmetadata import StandIn, seeding


def call(server: StandIn, method: str, path: str, body=None, *, who="portal-admin", **headers):
    kind = "application/json-patch+json" if method == "PATCH" else "application/json"
    return httpx.request(
        method,
        f"{server.url}/v1{path}",
        content=None if body is None else json.dumps(body),
        headers={
            "Authorization": f"Bearer {server.token(who, 60)}",
            "Content-Type": kind,
            **{k.replace("_", "-"): v for k, v in headers.items()},
        },
        trust_env=False,
    )


def user(server: StandIn, name: str) -> dict:
    return call(server, "GET", f"/users/name/{name}?fields=*").json()


def domain(server: StandIn, fqn: str) -> dict:
    return {"id": server.store.domain_id(fqn), "type": "domain"}


def set_name(value: str) -> dict:
    return {"op": "add", "path": "/displayName", "value": value}


def set_domains(*refs: dict) -> dict:
    return {"op": "add", "path": "/domains", "value": list(refs)}


class TestReads:
    def test_the_version_needs_no_token(self, stand_in):
        answer = httpx.get(f"{stand_in.url}/v1/system/version", trust_env=False)
        assert answer.json()["version"] == "2.0.6"

    @pytest.mark.parametrize(
        ("authorization", "said"),
        [(None, "Token not present"), ("Bearer a.b.c", "Invalid Token")],
    )
    def test_everything_else_does(self, stand_in, authorization, said):
        headers = {"Authorization": authorization} if authorization else {}
        answer = httpx.get(f"{stand_in.url}/v1/users", headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert said in answer.json()["message"]

    def test_optional_fields_come_only_when_named(self, stand_in):
        bare = call(stand_in, "GET", "/users/name/dana.fox").json()
        assert "domains" not in bare
        assert user(stand_in, "dana.fox")["domains"][0]["inherited"] is True

    def test_the_default_page_has_ten_and_both_cursors_exclude_each_other(self, stand_in):
        page = call(stand_in, "GET", "/users").json()
        assert len(page["data"]) == 10
        after = page["paging"]["after"]
        second = call(stand_in, "GET", f"/users?after={after}").json()
        assert second["data"][0]["name"] > page["data"][-1]["name"]
        back = call(stand_in, "GET", f"/users?before={second['paging']['before']}").json()
        assert back["data"] == page["data"]
        assert call(stand_in, "GET", f"/users?after={after}&before={after}").status_code == 400
        assert call(stand_in, "GET", "/users?limit=1000001").status_code == 400

    def test_a_cursor_survives_the_deletion_of_its_user(self, stand_in):
        page = call(stand_in, "GET", "/users?limit=3").json()
        call(stand_in, "DELETE", f"/users/{page['data'][-1]['id']}")
        following = call(stand_in, "GET", f"/users?limit=3&after={page['paging']['after']}").json()
        assert following["data"][0]["name"] > page["data"][-1]["name"]

    def test_bots_can_be_filtered(self, stand_in):
        page = call(stand_in, "GET", "/users?isBot=true").json()
        assert [u["name"] for u in page["data"]] == ["ingestion-bot"]

    def test_links_lead_to_a_page_of_the_user_with_escaped_text(self, stand_in):
        stand_in.store.edit_user("dana.fox", by="x", display_name="<img src=x onerror=alert(1)>")
        page = httpx.get(f"{stand_in.server.base_url}/users/dana.fox", trust_env=False)
        assert page.status_code == 200
        assert "<img" not in page.text

    def test_the_page_edits_a_user_as_somebody_else(self, stand_in):
        before = user(stand_in, "dana.fox")
        httpx.post(
            f"{stand_in.server.base_url}/users/dana.fox",
            data={"displayName": "Dana F.", "domains": ["Research"]},
            trust_env=False,
        )
        after = user(stand_in, "dana.fox")
        assert (after["displayName"], after["updatedBy"]) == ("Dana F.", "carla.chen")
        assert after["version"] > before["version"]


class TestPatch:
    def test_inherited_domains_are_never_stored(self, stand_in):
        dana = user(stand_in, "dana.fox")
        refs = [*dana["domains"], domain(stand_in, "Research")]
        after = call(stand_in, "PATCH", f"/users/{dana['id']}", [set_domains(*refs)]).json()
        shown = {d["fullyQualifiedName"]: d.get("inherited", False) for d in after["domains"]}
        assert shown == {"Research": False, "Finance": True}
        assert [d["name"] for d in stand_in.store.users[dana["id"]]["domains"]] == ["Research"]

    def test_an_unknown_domain_is_404_and_nothing_is_stored(self, stand_in):
        dana = user(stand_in, "dana.fox")
        unknown = {"id": "00000000-0000-4000-8000-0000000000ff", "type": "domain"}
        answer = call(
            stand_in, "PATCH", f"/users/{dana['id']}", [set_name("x"), set_domains(unknown)]
        )
        assert answer.status_code == 404
        assert user(stand_in, "dana.fox") == dana

    def test_identity_cannot_be_changed(self, stand_in):
        dana = user(stand_in, "dana.fox")
        operation = {"op": "replace", "path": "/email", "value": "other@example.com"}
        after = call(stand_in, "PATCH", f"/users/{dana['id']}", [operation]).json()
        assert after["email"] == dana["email"]

    def test_only_the_weak_tag_of_the_version_matches(self, stand_in):
        answer = call(stand_in, "GET", "/users/name/dana.fox")
        dana = answer.json()

        def patch(tag: str) -> int:
            body = [set_name(tag)]
            return call(stand_in, "PATCH", f"/users/{dana['id']}", body, If_Match=tag).status_code

        assert patch(answer.headers["etag"]) == 412
        assert patch('"0.1"') == 412
        assert patch('W/"0.1"') == 200
        assert patch("*") == 200

    def test_nothing_changed_is_200_and_the_same_version(self, stand_in):
        dana = user(stand_in, "dana.fox")
        assert call(stand_in, "PATCH", f"/users/{dana['id']}", []).json() == dana

    def test_changes_of_one_person_within_ten_minutes_share_a_version(self, stand_in):
        dana = user(stand_in, "dana.fox")
        path = f"/users/{dana['id']}"
        first = call(stand_in, "PATCH", path, [set_name("A")]).json()
        second = call(stand_in, "PATCH", path, [set_name("B")]).json()
        tag = f'W/"{second["version"]}"'
        third = call(stand_in, "PATCH", path, [set_name("C")], If_Match=tag).json()
        other = call(stand_in, "PATCH", path, [set_name("D")], who="admin").json()
        assert first["version"] == second["version"]
        assert third["version"] > second["version"]
        assert other["version"] > third["version"]

    def test_from_2_0_a_bots_name_is_silently_kept_beside_a_domain(self, stand_in):
        dana = user(stand_in, "dana.fox")
        body = [set_name("Bot's idea"), set_domains(domain(stand_in, "Research"))]
        answer = call(stand_in, "PATCH", f"/users/{dana['id']}", body, who="ingestion-bot")
        assert answer.status_code == 200
        assert answer.json()["displayName"] == "Dana Fox"
        assert answer.json()["domains"][0]["name"] == "Research"

    def test_before_2_0_a_bots_name_beside_a_domain_is_stored(self):
        with StandIn(seed=seeding.seed_demo, version="1.12.4") as server:
            dana = user(server, "dana.fox")
            body = [set_name("Bot's idea"), set_domains(domain(server, "Research"))]
            answer = call(server, "PATCH", f"/users/{dana['id']}", body, who="ingestion-bot")
            assert answer.json()["displayName"] == "Bot's idea"

    def test_some_versions_echo_a_guarded_domain_change_and_forget_it(self):
        with StandIn(seed=seeding.seed_demo, version="1.12.4") as server:
            carla = user(server, "carla.chen")
            body = [set_domains(domain(server, "Research"))]
            tag = f'W/"{carla["version"]}"'
            answer = call(server, "PATCH", f"/users/{carla['id']}", body, If_Match=tag)
            assert answer.json()["domains"][0]["name"] == "Research"
            assert user(server, "carla.chen")["domains"][0]["name"] == "Marketing"

    def test_a_bad_index_fails_the_whole_patch(self, stand_in):
        dana = user(stand_in, "dana.fox")
        body = [set_name("x"), {"op": "remove", "path": "/domains/7"}]
        assert call(stand_in, "PATCH", f"/users/{dana['id']}", body).status_code == 500
        assert user(stand_in, "dana.fox") == dana


class TestPut:
    def test_clears_what_the_body_leaves_out(self, stand_in):
        stand_in.store.edit_user("anna.kowalska", by="x", isAdmin=True, timezone="Europe/Warsaw")
        body = {"name": "Anna.Kowalska", "email": "other@example.com", "displayName": "Anna"}
        after = call(stand_in, "PUT", "/users", body).json()
        assert after["email"] == "anna.kowalska@example.com"
        assert after["isAdmin"] is False
        assert after["roles"] == []
        assert [t["name"] for t in after["teams"]] == ["Organization"]
        assert after["domains"] == []
        assert "profile" not in after
        assert "timezone" not in after

    def test_from_a_bot_keeps_domains_and_name(self, stand_in):
        body = {"name": "carla.chen", "email": "x@y.z", "displayName": "C", "domains": ["Research"]}
        answer = call(stand_in, "PUT", "/users", body, who="ingestion-bot")
        assert answer.status_code == 200
        assert answer.json()["displayName"] == "Carla Chen"
        assert [d["name"] for d in answer.json()["domains"] if not d.get("inherited")] == [
            "Marketing"
        ]

    def test_creates_a_name_nobody_has(self, stand_in):
        body = {"name": "new.one", "email": "new.one@example.com"}
        assert call(stand_in, "PUT", "/users", body).status_code == 201
        assert call(stand_in, "POST", "/users", body).status_code == 409

    def test_an_unknown_domain_is_404(self, stand_in):
        body = {"name": "dana.fox", "email": "x@y.z", "domains": ["Nope"]}
        assert call(stand_in, "PUT", "/users", body).status_code == 404

    def test_there_is_no_bulk_route(self, stand_in):
        assert call(stand_in, "PUT", "/users/bulk", []).status_code == 405


class TestState:
    def test_survives_a_restart_with_its_tokens(self, tmp_path: Path):
        file = tmp_path / "om.json"
        with StandIn(state_file=file, seed=seeding.seed_demo) as server:
            token = server.token("admin")
            dana = user(server, "dana.fox")
            call(server, "PATCH", f"/users/{dana['id']}", [set_name("Kept")])
        with StandIn(state_file=file, seed=seeding.seed_demo) as server:
            assert user(server, "dana.fox")["displayName"] == "Kept"
            headers = {"Authorization": f"Bearer {token}"}
            answer = httpx.get(f"{server.url}/v1/users", headers=headers, trust_env=False)
            assert answer.status_code == 200
