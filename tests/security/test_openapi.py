"""Requests made up from the OpenAPI document: no 500, no undocumented answer, one error shape.

Each operation is asked as an admin, who reaches the most code, with requests that fit the document
and requests that do not; every check of schemathesis but two is made. 502, 503 and 504 are answers
too: the outside systems are all down.
"""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import load_all_checks
from schemathesis.config import (
    ChecksConfig,
    NotAServerErrorConfig,
    PositiveDataAcceptanceConfig,
)
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from tests.security.conftest import ENVIRONMENT

#: 400: an URN, a cursor or a request that is none although it fits the document.
CHECKED = ChecksConfig(
    not_a_server_error=NotAServerErrorConfig(
        expected_statuses=["2xx", "3xx", "4xx", 502, 503, 504]
    ),
    positive_data_acceptance=PositiveDataAcceptanceConfig(
        expected_statuses=["2xx", 400, 403, 404, 409, 502, 503, 504]
    ),
)
SETTINGS = hypothesis.settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
    report_multiple_bugs=False,
    phases=[hypothesis.Phase.generate],  # shrinking each failure takes minutes
)
#: Fields of their bodies depend on one another, which the document does not say.
BEYOND_THE_DOCUMENT = (
    "/api/mounts/mount",
    "/api/mounts/unmount",
    "/api/ingestion/run",
    "/api/ingestion/schedules",  # what a cron expression is
    "/api/ingestion/datasets/favourite",  # what a URN is
    "/api/environments/{name}/policies/{action}",
    "/api/environments",  # what a name may be
    "/api/environments/{name}",
    "/api/environments/{name}/connections/{kind}",
    "/api/environments/{name}/connections/{kind}/test",
    "/api/environments/{name}/connections/{kind}/tests",
    "/api/environments/{name}/client-info",  # what an address is
)
#: Half of the made-up requests are about things that exist.
REAL = {"name": ENVIRONMENT, "job": 1, "job_id": 1}


def operations(api: FastAPI) -> Iterator[Any]:
    load_all_checks()
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", api)
    schema.config.checks = CHECKED
    # `ask` puts a good token there; to make one up was most of a wrong request's cost.
    schema.config.generation.with_security_parameters = False
    for result in schema.get_all_operations():
        yield result.ok()


def ask(case: Case, token: str, *, real: bool) -> Response:
    case.headers["Authorization"] = f"Bearer {token}"
    for name in set(REAL) & set(case.path_parameters) if real else ():
        case.path_parameters[name] = REAL[name]
    return case.call()


def hold_to_the_document(case: Case, response: Response, token: str) -> None:
    assert response.status_code != 500, response.text
    # `ask` puts a good token and real names where the made-up request was wrong on purpose. Each
    # request again without a token and with a bad one: test_api_roles.py asks each operation once.
    excluded = [negative_data_rejection, ignored_auth]
    if case.operation.path in BEYOND_THE_DOCUMENT:
        excluded.append(positive_data_acceptance)
    headers = {"Authorization": f"Bearer {token}"}
    case.validate_response(response, excluded_checks=excluded, headers=headers)
    if response.status_code >= 400 and case.operation.path not in ("/healthz", "/readyz"):
        document = response.json()
        assert {"error", "detail", "reference"} <= set(document), document
        assert "Traceback" not in response.text


#: What others define: a task's own result, a frozen intent, details by action, DataHub's /config,
#: an operation's masked request, the findings of a comparison; probes of a load balancer; the
#: reply of a DMS server.
OPEN = {
    "result",
    "shown",
    "details",
    "server_config",
    "request",
    "findings",
    "old",  # of what an audit event changed: values as its details hold them
    "new",
}
OPEN_ANSWERS = {
    "/readyz",
    "/api/mounts/mount",
    "/api/mounts/unmount",
    "/api/mounts/operations/{operation_id}/recheck",
    "/api/mounts/{job}/{target}/verify",
    "/api/environments/{name}/test",
    "/api/environments/{name}/connections/{kind}/test",
    "/api/environments/{name}/connections/{kind}/tests",
    "/api/tokenization/comparisons/latest",
}


def test_the_document_names_every_key_of_every_answer(api: FastAPI) -> None:
    document = api.openapi()
    vague = {
        f"{method} {path}: {place}"
        for path, operations in document["paths"].items()
        if path not in OPEN_ANSWERS
        for method, operation in operations.items()
        for content in operation["responses"].get("200", {}).get("content", {}).items()
        if content[0] == "application/json"
        for place in _vague(document, content[1].get("schema", {}), "answer", frozenset())
    }
    assert not vague


def _vague(document: Any, schema: Any, place: str, seen: frozenset[str]) -> Iterator[str]:
    """Where an answer may hold anything at all."""
    if name := schema.get("$ref"):
        if name not in seen:
            shape = document["components"]["schemas"][name.split("/")[-1]]
            yield from _vague(document, shape, place, seen | {name})
        return
    if not schema.keys() - {"title", "description"} or schema.get("additionalProperties") is True:
        yield place
    for kind in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(kind, ()):
            yield from _vague(document, inner, place, seen)
    for name, inner in schema.get("properties", {}).items():
        if name not in OPEN:
            yield from _vague(document, inner, f"{place}.{name}", seen)
    if isinstance(items := schema.get("items"), dict):
        yield from _vague(document, items, f"{place}[]", seen)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_operation_keeps_to_its_document(
    api: FastAPI, tokens: dict[str, str], mode: GenerationMode
) -> None:
    problems = {}
    for operation in operations(api):

        @SETTINGS
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
        def hold(case: Case, real: bool) -> None:
            token = tokens["admin"]
            hold_to_the_document(case, ask(case, token, real=real), token)

        try:
            hold()
        except hypothesis.errors.Unsatisfiable:
            continue  # an operation without parameters cannot be asked wrongly
        except (Exception, FailureGroup) as exc:  # every operation is tried before the test fails
            problems[operation.label] = f"{type(exc).__name__}: {exc}"
    assert not problems, "\n\n".join(f"{label}\n{text}" for label, text in problems.items())


BIG = "9" * 30


class TestValuesThatBreakDrivers:
    """Numbers beyond 64 bits, NUL and lone surrogates: what a driver raises is not ours to show."""

    def test_in_paths_and_queries(
        self, api: FastAPI, client: TestClient, tokens: dict[str, str]
    ) -> None:
        headers = {"Authorization": f"Bearer {tokens['admin']}"}
        for operation in operations(api):
            for value in (BIG, "-" + BIG, "x%00y", "%ED%A0%80", "a" * 3_000):
                path = operation.path
                while "{" in path:
                    start, rest = path.split("{", 1)
                    path = start + value + rest.split("}", 1)[1]
                names = [p.name for p in operation.query]
                query = "&".join(f"{name}={value}" for name in names)
                # Every parameter by itself as well, or the first one refused hides the others.
                for one in {query, *(f"{name}={value}" for name in names)}:
                    answer = client.request(
                        operation.method, f"{path}?{one}", headers=headers, json={}
                    )
                    assert answer.status_code != 500, (operation.label, one, answer.text)

    @pytest.mark.parametrize("value", ['"x\\u0000y"', '"half \\ud800"', BIG, "[[[[]]]]", "NaN"])
    def test_in_bodies(
        self, api: FastAPI, client: TestClient, tokens: dict[str, str], value: str
    ) -> None:
        headers = {
            "Authorization": f"Bearer {tokens['admin']}",
            "Content-Type": "application/json",
        }
        for path, names in BODIES.items():
            for name in names:
                rest = [f'"{n}": "x"' for n in names if n != name]
                body = "{" + ", ".join([f'"{name}": {value}', *rest]) + "}"
                answer = client.post(path, headers=headers, content=body)
                assert answer.status_code != 500, (path, body, answer.text)

    @pytest.mark.parametrize(
        "extra",
        ['"half \\ud800"', "NaN", "1e999", "[" * 700 + "]" * 700, '{"a":' * 900 + "1" + "}" * 900],
    )
    def test_beside_a_complete_mount_request(
        self, client: TestClient, tokens: dict[str, str], extra: str
    ) -> None:
        headers = {
            "Authorization": f"Bearer {tokens['admin']}",
            "Content-Type": "application/json",
        }
        complete = (
            '"keystone_token": "kkkk", "job": {"jobid": 7}, "host": "compute-01",'
            ' "backup_target": {"id": "t", "type": "s3", "secret_ref": "ssss",'
            ' "filesystem_export_mount_path": "/mnt/t"}'
        )
        body = '{"context": {"user_id": "u", "extra": ' + extra + "}, " + complete + "}"
        answer = client.post("/api/mounts/mount", headers=headers, content=body)
        assert answer.status_code in (200, 400, 422), answer.text


_MOUNT = ("keystone_token", "job", "jobid", "host", "action", "backup_target", "context")
BODIES = {
    "/trigger": ("dataset", "columns", "environment", "schemes", "method", "cleanUp"),
    "/api/tokenization/runs": (
        "dataset",
        "columns",
        "environment",
        "schemes",
        "method",
        "cleanUp",
        "dryRun",
        "wait",
    ),
    "/api/ingestion/run": ("datasetUrn", "jobUrn", "reason", "metadata", "environment"),
    "/api/mounts/mount": _MOUNT,
    "/api/mounts/unmount": _MOUNT,
}
