"""Role × endpoint, from the OpenAPI document: who may not is told so, before anything else."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend.accounts import api_tokens
from backend.core import clock
from backend.core.access import PERMISSIONS, SYSTEM, Permission, Role
from backend.core.database import Database
from backend.models.accounts import ApiToken
from tests.security.conftest import ENVIRONMENT

URN = "urn:li:dataset:(urn:li:dataPlatform:postgres,shop.public.customers,PROD)"
P = Permission
#: Every operation of the document with the permission it needs and a body that reaches the check.
NEEDS: dict[str, tuple[Permission | None, dict[str, object] | None]] = {
    "GET /healthz": (None, None),
    "GET /readyz": (None, None),
    "GET /api/environments": (P.CONNECTIONS_READ, None),
    "POST /api/environments": (P.ENVIRONMENTS_WRITE, {"name": "another"}),
    "PATCH /api/environments/{name}": (P.ENVIRONMENTS_WRITE, {}),
    "DELETE /api/environments/{name}": (P.ENVIRONMENTS_WRITE, None),
    "GET /api/environments/{name}/client-info": (P.CLIENT_INFO_READ, None),
    "PATCH /api/environments/{name}/client-info": (P.CONNECTIONS_WRITE, {"client_id": "x"}),
    "DELETE /api/environments/{name}/client-info": (P.CONNECTIONS_WRITE, None),
    "GET /api/client-info": (P.CLIENT_INFO_READ, None),
    "GET /api/client-info/export.csv": (P.CLIENT_INFO_READ, None),
    "PUT /api/environments/{name}/trust": (P.ENVIRONMENTS_WRITE, {}),
    "GET /api/environments/{name}/checklist": (P.CONNECTIONS_READ, None),
    "GET /api/environments/{name}/connections/{kind}": (P.CONNECTIONS_READ, None),
    "PUT /api/environments/{name}/connections/{kind}": (P.CONNECTIONS_WRITE, {}),
    "DELETE /api/environments/{name}/connections/{kind}": (P.CONNECTIONS_WRITE, None),
    "POST /api/environments/{name}/connections/{kind}/test": (P.CONNECTIONS_WRITE, {}),
    "GET /api/environments/{name}/connections/{kind}/tests": (P.CONNECTIONS_READ, None),
    "POST /api/environments/{name}/test": (P.CONNECTIONS_TEST, None),
    "POST /trigger": (P.TOKENIZATION_RUN, {"dataset": URN, "columns": ["email"]}),
    "POST /api/tokenization/runs": (P.TOKENIZATION_RUN, {"dataset": URN, "columns": ["email"]}),
    "GET /api/tokenization/worklist": (P.TOKENIZATION_READ, None),
    "GET /api/tokenization/tables": (P.TOKENIZATION_PREVIEW, None),
    "GET /api/tokenization/copies": (P.TOKENIZATION_READ, None),
    "POST /api/tokenization/copies/previews": (P.TOKENIZATION_PREVIEW, {"dataset": URN}),
    "GET /api/tokenization/copies/previews": (P.TOKENIZATION_READ, None),
    "GET /api/tokenization/runs": (P.TOKENIZATION_READ, None),
    "GET /api/tokenization/runs/{run_id}": (P.TOKENIZATION_READ, None),
    "POST /api/tokenization/runs/{run_id}/clean-up": (P.TOKENIZATION_RUN, None),
    "POST /api/tokenization/runs/{run_id}/write-back": (P.TOKENIZATION_RUN, None),
    "POST /api/tokenization/comparisons": (P.TOKENIZATION_PREVIEW, None),
    "GET /api/tokenization/comparisons/latest": (P.TOKENIZATION_READ, None),
    "POST /api/tokenization/comparisons/latest/repair": (
        P.TOKENIZATION_RUN,
        {"dataset": URN, "finding": "x"},
    ),
    "POST /api/ingestion/run": (P.INGESTION_RUN, {"datasetUrn": URN}),
    "GET /api/ingestion/datasets": (P.INGESTION_READ, None),
    "GET /api/ingestion/jobs": (P.INGESTION_READ, None),
    "GET /api/ingestion/runs": (P.INGESTION_READ, None),
    "GET /api/ingestion/runs/{run_id}": (P.INGESTION_READ, None),
    "POST /api/ingestion/runs/{run_id}/stop": (P.INGESTION_RUN, None),
    "POST /api/ingestion/runs/{run_id}/redrive": (P.INGESTION_RUN, None),
    "GET /api/ingestion/runs/{run_id}/steps": (P.INGESTION_MAPPING_READ, None),
    "GET /api/ingestion/runs/{run_id}/steps/{step}/log": (P.INGESTION_MAPPING_READ, None),
    "GET /api/ingestion/recipes": (P.INGESTION_READ, None),
    "POST /api/ingestion/recipes/{name}/run": (P.INGESTION_RUN, {}),
    "GET /api/ingestion/sources": (P.INGESTION_READ, None),
    "POST /api/ingestion/sources/run": (
        P.INGESTION_RUN,
        {"sourceUrn": "urn:li:dataHubIngestionSource:1"},
    ),
    "PUT /api/ingestion/datasets/favourite": (
        P.OWN_ACCOUNT,
        {"datasetUrn": URN, "favourite": True},
    ),
    "GET /api/ingestion/schedules": (P.INGESTION_READ, None),
    "PUT /api/ingestion/schedules": (
        P.INGESTION_RUN,
        {"kind": "recipe", "name": "sample_file.yml", "cron": "0 6 * * *"},
    ),
    "DELETE /api/ingestion/schedules": (P.INGESTION_RUN, None),
    "GET /api/search": (P.OVERVIEW_READ, None),
    "GET /api/accounts": (P.ACCOUNTS_READ, None),
    "POST /api/accounts/{account_id}/rename": (P.ACCOUNTS_WRITE, {"name": "x", "version": 1}),
    "GET /api/accounts/{account_id}/identities": (P.ACCOUNTS_READ, None),
    "POST /api/accounts/{account_id}/identities": (
        P.ACCOUNTS_WRITE,
        {"issuer": "https://idp.example", "subject": "1", "version": 1},
    ),
    "POST /api/accounts/{account_id}/identities/{identity_id}/unlink": (
        P.ACCOUNTS_WRITE,
        {"version": 1},
    ),
    "POST /api/accounts/{account_id}/merge": (P.ACCOUNTS_WRITE, {"into": "x", "version": 1}),
    "DELETE /api/accounts/{account_id}": (P.ACCOUNTS_WRITE, {"version": 1}),
    "POST /api/accounts/{account_id}/disable": (P.ACCOUNTS_WRITE, {"version": 1}),
    "GET /api/request": (P.ACCOUNTS_READ, None),
    "GET /api/tokens": (P.ACCOUNTS_READ, None),
    "POST /api/deployment/check": (P.API_TOKENS_WRITE, None),
    "GET /api/retention": (P.RETENTION_READ, None),
    "POST /api/retention/run": (P.RETENTION_RUN, None),
    "GET /api/audit": (P.AUDIT_READ, None),
    "GET /api/audit/{number}": (P.AUDIT_READ, None),
    "GET /api/audit/export.csv": (P.AUDIT_EXPORT, None),
    "POST /api/audit/verify": (P.AUDIT_READ, {}),
    "POST /api/audit/digest": (P.AUDIT_EXPORT, None),
    "GET /api/changes": (P.CHANGES_READ, None),
    "GET /api/changes/{change_id}": (P.CHANGES_READ, None),
    "GET /api/changes/{change_id}/now": (P.CHANGES_READ, None),
    "POST /api/changes/approve": (P.CHANGES_DECIDE, {"changes": [1, 2]}),
    "POST /api/changes/{change_id}/approve": (P.CHANGES_DECIDE, {}),
    "POST /api/changes/{change_id}/reject": (P.CHANGES_DECIDE, {"reason": "why"}),
    "POST /api/changes/{change_id}/withdraw": (P.CHANGES_DECIDE, {}),
    "POST /api/changes/{change_id}/comments": (P.CHANGES_DECIDE, {"text": "why"}),
    "GET /api/environments/{name}/policies": (P.CHANGES_READ, None),
    "GET /api/alerts": (P.OVERVIEW_READ, None),
    "PUT /api/alerts/{key}/seen": (P.OWN_ACCOUNT, {"seen": True}),
    "GET /api/roles": (P.OVERVIEW_READ, None),
    "GET /api/notifications/kinds": (P.NOTIFICATIONS_READ, None),
    "GET /api/notifications/events": (P.NOTIFICATIONS_READ, None),
    "GET /api/notifications/channels": (P.NOTIFICATIONS_READ, None),
    "GET /api/notifications/deliveries": (P.NOTIFICATIONS_READ, None),
    "POST /api/notifications/channels": (
        P.NOTIFICATIONS_WRITE,
        {"name": "x", "address": "https://receiver.example/hook"},
    ),
    "PUT /api/notifications/channels/{name}/enabled": (P.NOTIFICATIONS_WRITE, {"enabled": True}),
    "POST /api/notifications/channels/{name}/test": (P.NOTIFICATIONS_WRITE, {}),
    "DELETE /api/notifications/channels/{name}": (P.NOTIFICATIONS_WRITE, None),
    "PUT /api/environments/{name}/policies/{action}": (P.CHANGES_CONFIGURE, {}),
    "GET /api/jobs": (P.JOBS_READ, None),
    "GET /api/jobs/{job_id}": (P.JOBS_READ, None),
    "POST /api/jobs/{job_id}/cancel": (P.JOBS_CANCEL, None),
    "GET /api/mounts": (P.MOUNTS_READ, None),
    "GET /api/mounts/orphans": (P.MOUNTS_READ, None),
    "GET /api/mounts/operations": (P.MOUNTS_READ, None),
    "GET /api/mounts/export.csv": (P.MOUNTS_READ, None),
    "GET /api/mounts/hosts": (P.MOUNTS_READ, None),
    "GET /api/mounts/targets": (P.MOUNTS_READ, None),
    "GET /api/mounts/hosts/{host}": (P.MOUNTS_READ, None),
    "GET /api/mounts/targets/{target}": (P.MOUNTS_READ, None),
    "GET /api/mounts/hosts/{host}/verify": (P.MOUNTS_READ, None),
    "POST /api/mounts/hosts/{host}/verify": (P.MOUNTS_WRITE, {"digest": "x"}),
    "GET /api/mounts/hosts/{host}/release": (P.MOUNTS_READ, None),
    "POST /api/mounts/hosts/{host}/release": (P.MOUNTS_WRITE, {"digest": "x"}),
    "GET /api/mounts/templates": (P.MOUNTS_READ, None),
    "PUT /api/mounts/templates/{target}": (
        P.MOUNTS_WRITE,
        {"type": "nfs", "mount_path": "/mnt/x", "filesystem_export": "nas:/x"},
    ),
    "DELETE /api/mounts/templates/{target}": (P.MOUNTS_WRITE, None),
    "GET /api/mounts/{job}/{target}": (P.MOUNTS_READ, None),
    "POST /api/mounts/mount": (P.MOUNTS_WRITE, {}),
    "POST /api/mounts/unmount": (P.MOUNTS_WRITE, {}),
    "POST /api/mounts/operations/{operation_id}/recheck": (P.MOUNTS_WRITE, {}),
    "POST /api/mounts/{job}/{target}/verify": (P.MOUNTS_WRITE, None),
    "DELETE /api/mounts/{job}/{target}": (P.MOUNTS_WRITE, None),
    "GET /api/user-sync/plans": (P.USER_SYNC_READ, None),
    "POST /api/user-sync/plans": (P.USER_SYNC_PLAN, {}),
    "GET /api/user-sync/plans/{plan_id}": (P.USER_SYNC_READ, None),
    "POST /api/user-sync/plans/{plan_id}/apply": (P.USER_SYNC_APPLY, {}),
    "GET /api/user-sync/runs/{run_id}": (P.USER_SYNC_READ, None),
    "POST /api/user-sync/runs/{run_id}/revert": (P.USER_SYNC_APPLY, None),
    "POST /api/user-sync/runs/{run_id}/resume": (P.USER_SYNC_APPLY, None),
    "POST /api/user-sync/runs/{run_id}/cancel": (P.USER_SYNC_APPLY, None),
    "GET /api/user-sync/runs": (P.USER_SYNC_READ, None),
    "POST /api/user-sync/plans/{plan_id}/ignore": (
        P.USER_SYNC_PLAN,
        {"email": "a@b.org", "field": "domains", "reason": "why"},
    ),
    "GET /api/user-sync/ignores": (P.USER_SYNC_READ, None),
    "DELETE /api/user-sync/ignores/{ignore_id}": (P.USER_SYNC_PLAN, None),
    "GET /api/user-sync/settings": (P.USER_SYNC_READ, None),
    "PATCH /api/user-sync/settings": (P.USER_SYNC_CONFIGURE, {}),
    "POST /api/user-sync/try": (P.USER_SYNC_PLAN, {}),
    "GET /api/user-sync/presets": (P.USER_SYNC_PLAN, None),
    "GET /api/user-sync/preflight": (P.USER_SYNC_PLAN, None),
    "GET /api/user-sync/domain-map": (P.USER_SYNC_READ, None),
    "POST /api/user-sync/domain-map": (P.USER_SYNC_PLAN, {"said": "a", "domain": "b"}),
    "DELETE /api/user-sync/domain-map/{map_id}": (P.USER_SYNC_PLAN, None),
    "GET /api/user-sync/plans/{plan_id}/leavers": (P.USER_SYNC_READ, None),
    "PUT /api/user-sync/people": (P.USER_SYNC_PLAN, {"content": "email"}),
}
VALUES = {"key": "0" * 64, "name": ENVIRONMENT, "target": "t", "operation_id": "x"}


#: What an operation needs in its address before anybody's role is asked.
QUERIES = {"DELETE /api/ingestion/schedules": {"kind": "recipe", "name": "sample_file.yml"}}


def _ask(client: TestClient, operation: str, token: str | None) -> int:
    method, path = operation.split(" ")
    while "{" in path:
        start, rest = path.split("{", 1)
        name, rest = rest.split("}", 1)
        path = start + VALUES.get(name, "1") + rest
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    body = NEEDS[operation][1]
    params = QUERIES.get(operation)
    answer = client.request(method, path, headers=headers, json=body, params=params)
    if answer.status_code in (401, 403):
        assert set(answer.json()) >= {"error", "detail", "reference"}
    return answer.status_code


def _operations(api: FastAPI) -> Iterator[str]:
    for path, methods in api.openapi()["paths"].items():
        for method in methods:
            yield f"{method.upper()} {path}"


def test_every_operation_of_the_document_is_in_the_table(api: FastAPI) -> None:
    assert set(_operations(api)) == set(NEEDS)


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.ADMIN])
def test_a_role_without_the_permission_is_answered_403(
    client: TestClient, tokens: dict[str, str], role: Role
) -> None:
    wrong = {}
    for operation, (permission, _body) in NEEDS.items():
        if permission is None:
            continue
        status = _ask(client, operation, tokens[role.value])
        if (status == 403) == (permission in PERMISSIONS[role]):
            wrong[operation] = status
    assert not wrong


def test_no_writing_operation_is_open_to_viewers() -> None:
    for operation, (permission, _body) in NEEDS.items():
        if not operation.startswith("GET ") and permission is not P.OWN_ACCOUNT:
            assert permission not in PERMISSIONS[Role.VIEWER], operation


def test_auditors_read_every_list_and_write_nothing() -> None:
    auditor = PERMISSIONS[Role.AUDITOR]
    for operation, (permission, _body) in NEEDS.items():
        # What one has seen oneself is no data of the portal.
        if permission in (None, P.OWN_ACCOUNT) or operation == "POST /api/audit/verify":
            continue
        assert (permission in auditor) == permission.endswith(":read"), operation
        if not operation.startswith("GET "):
            assert permission not in auditor, operation


class TestTokens:
    @pytest.fixture
    def spent(self, world: Database) -> dict[str, str]:
        """Tokens that were good once, and some that never were."""
        with world.write() as session:
            revoked = api_tokens.add(session, SYSTEM, name="revoked", role="admin")
            expired = api_tokens.add(session, SYSTEM, name="expired", role="admin", days=1)
            good = api_tokens.add(session, SYSTEM, name="good", role="admin")
            api_tokens.revoke(session, SYSTEM, token_id=revoked.view.id)
            row = session.get(ApiToken, expired.view.id)
            assert row is not None
            row.expires_at = clock.now()
        return {
            "revoked": revoked.raw,
            "expired": expired.raw,
            "another secret": good.raw[:-4] + "AAAA",
            "empty": "",
            "nonsense": "x",
        }

    def test_without_a_good_one_every_operation_is_401(
        self, client: TestClient, spent: dict[str, str]
    ) -> None:
        wrong = {}
        for operation, (permission, _body) in NEEDS.items():
            if permission is None:
                continue
            for what, token in {"none": None, **spent}.items():
                status = _ask(client, operation, token)
                if status != 401:
                    wrong[operation, what] = status
        assert not wrong

    def test_every_reason_gets_the_same_sentence(
        self, client: TestClient, spent: dict[str, str]
    ) -> None:
        said = {
            client.get("/api/jobs", headers={"Authorization": f"Bearer {token}"}).json()["detail"]
            for what, token in spent.items()
            if what != "empty"
        }
        assert len(said) == 1

    def test_a_signed_in_browsers_cookie_opens_no_endpoint(
        self, client: TestClient, world: Database
    ) -> None:
        """So a form on another site cannot make a browser call the API (CSRF)."""
        from backend.accounts import service, sessions

        with world.write() as session:
            account = service.add_account(
                session, SYSTEM, name="ann", role=Role.ADMIN, stored="no password"
            )
            raw = sessions.open_session(
                session, account_id=account.id, address="127.0.0.1", user_agent="test"
            )
        client.cookies.set("portal_session", raw)
        assert client.get("/api/jobs").status_code == 401
        assert (
            client.get("/api/jobs", headers={"Authorization": f"Bearer {raw}"}).status_code == 401
        )

    def test_the_wrong_scheme_is_refused(self, client: TestClient, tokens: dict[str, str]) -> None:
        for header in (f"Basic {tokens['admin']}", tokens["admin"], f"Token {tokens['admin']}"):
            assert client.get("/api/jobs", headers={"Authorization": header}).status_code == 401
