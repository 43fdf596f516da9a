"""User sync over REST, with real workers and servers on loopback."""

import pytest

from tests.backend.user_sync import conftest as rooms

directory, om, world, many = rooms.directory, rooms.om, rooms.world, rooms.many

PLANS = "/api/user-sync/plans"
RUNS = "/api/user-sync/runs"


def test_plan_apply_and_revert(client, world, workers, bearer):
    steward = bearer("steward")
    plan = client.post(PLANS, headers=steward).json()
    assert plan["status"] == "ready"
    assert len(plan["rows"]) == plan["total"] == len(world.directory.users)

    applied = client.post(f"{PLANS}/{plan['plan_id']}/apply", headers=steward)
    assert applied.status_code == 200, applied.text
    run = applied.json()
    assert (run["status"], run["summary"]["applied"]) == ("succeeded", plan["fields"]["users"])
    assert client.get(f"{RUNS}/{run['run_id']}", headers=steward).json()["rows"] == run["rows"]

    rows, cursor = [], -1
    while cursor is not None:
        query = {"limit": 3, "cursor": cursor}
        page = client.get(f"{RUNS}/{run['run_id']}", params=query, headers=steward).json()
        assert page["summary"] == run["summary"]
        rows, cursor = rows + page["rows"], page["next_cursor"]
    assert rows == run["rows"]

    again = client.post(f"{PLANS}/{plan['plan_id']}/apply", headers=steward).json()
    assert (again["run_id"], again["reused"]) == (run["run_id"], True)

    inverse = client.post(f"{RUNS}/{run['run_id']}/revert", headers=steward).json()
    assert inverse["fields"]["users"] == run["summary"]["applied"]
    undone = client.post(f"{PLANS}/{inverse['plan_id']}/apply", headers=steward).json()
    assert undone["status"] == "succeeded"
    assert world.stored("lena.novak")["displayName"] == "Lena Novak"


def test_rows_come_filtered_and_in_pages(client, world, bearer):
    steward = bearer("steward")
    plan = client.post(PLANS, json={"environment": "test"}, headers=steward).json()
    url = f"{PLANS}/{plan['plan_id']}"
    page = client.get(url, params={"limit": 5}, headers=steward).json()
    assert (len(page["rows"]), page["next_cursor"]) == (5, 5)
    found = client.get(url, params={"kind": "duplicate"}, headers=steward).json()
    assert {row["status"] for row in found["rows"]} == {"duplicate"}
    assert client.get(url, params={"text": "\x00a|b%"}, headers=steward).json()["total"] == 0
    assert client.get(url, params={"kind": "nonsense"}, headers=steward).status_code == 422


def test_plans_come_newest_first_and_in_pages(client, world, bearer):
    steward, viewer = bearer("steward"), bearer("viewer")
    made = [client.post(PLANS, headers=steward).json()["plan_id"] for _ in range(3)]
    first = client.get(PLANS, params={"limit": 2}, headers=viewer).json()
    assert [plan["plan_id"] for plan in first["items"]] == [made[2], made[1]]
    rest = client.get(PLANS, params={"cursor": first["next_cursor"]}, headers=viewer).json()
    assert [plan["plan_id"] for plan in rest["items"]] == [made[0]]
    assert rest["next_cursor"] is None


def test_without_a_worker_the_answer_is_202_and_the_run_waits(client, world, bearer):
    steward = bearer("steward")
    plan = client.post(PLANS, headers=steward).json()
    answer = client.post(f"{PLANS}/{plan['plan_id']}/apply", json={"wait": 0}, headers=steward)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.json()["summary"]["not_tried"] == plan["fields"]["users"]


@pytest.mark.parametrize(
    ("role", "body", "status"),
    [
        ("viewer", {}, 403),
        ("operator", {}, 403),
        ("steward", {"emails": ["nobody@example.com"]}, 400),
        ("steward", {"userIds": []}, 400),
        ("steward", {"unknown": 1}, 422),
    ],
)
def test_refusals_name_the_reason(client, world, bearer, role, body, status):
    plan = world.plan()
    answer = client.post(f"{PLANS}/{plan.id}/apply", json=body, headers=bearer(role))
    assert answer.status_code == status
    assert set(answer.json()) >= {"error", "detail", "reference"}


def test_above_the_limit_is_409_until_confirmed_with_the_number(client, many, workers, bearer):
    steward = bearer("steward")
    plan = many(120).plan()
    url = f"{PLANS}/{plan.id}/apply"
    refused = client.post(url, headers=steward)
    assert refused.status_code == 409
    assert "120" in refused.json()["detail"]
    assert client.post(url, json={"confirm": 120, "wait": 60}, headers=steward).status_code == 200


def test_an_outside_system_that_fails_is_named(client, world, bearer):
    world.directory.close()
    answer = client.post(PLANS, headers=bearer("steward"))
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("Directory:")


def test_what_does_not_exist_is_404(client, world, bearer):
    steward = bearer("steward")
    assert client.get(f"{PLANS}/99", headers=steward).status_code == 404
    assert client.get(f"{RUNS}/99", headers=steward).status_code == 404
    assert client.post(PLANS, json={"environment": "no"}, headers=steward).status_code == 404
    odd = client.post(PLANS, content=b'{"environment": "\\ud800\\u0000"}', headers=steward)
    assert 400 <= odd.status_code < 500
    assert client.get(f"{PLANS}/1").status_code == 401
