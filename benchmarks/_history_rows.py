"""The rows that benchmarks/history.py fills tables with."""

from datetime import timedelta
from typing import Any

_KINDS = ("mounts.scan", "user_sync.plan", "tokenization.run", "connections.refresh_client_info")


def account(number: int, at: Any) -> dict[str, Any]:
    return {
        "name": f"person-{number}",
        "name_key": f"person-{number}",
        "role": "viewer",
        "name_pinned": False,
        "must_change_password": False,
        "disabled": False,
        "created_at": at,
        "created_by": "admin",
        "version": 1,
    }


def job(number: int, at: Any) -> dict[str, Any]:
    kind = "tokenization.check" if number % 400 == 0 else _KINDS[number % len(_KINDS)]
    subject = f"environment {number % 20}"
    return {
        "kind": kind,
        "title": "Some work",
        "subject": "catalog and tables of prod" if kind == "tokenization.check" else subject,
        "arguments": {},
        # What fails is done again.
        "state": "failed" if number % 100 == 51 else "succeeded",
        "resumable": True,
        "actor_id": 1,
        "actor_name": "admin",
        "actor_role": "admin",
        "actor_kind": "user",
        "created_at": at,
        "started_at": at,
        "finished_at": at + timedelta(seconds=20),
        "heartbeat_at": at,
        "attempt": 1,
        "cancel_requested": False,
        "progress_done": 1,
        "note": "",
    }


def _urn(number: int) -> str:
    return f"urn:li:dataset:(urn:li:dataPlatform:postgres,shop.public.t{number % 200},PROD)"


def ingestion(number: int, at: Any, environment: int) -> dict[str, Any]:
    texts = ("region", "public_detail", "detail", "request_id", "execution_arn", "log_group")
    return {
        **dict.fromkeys(texts, ""),
        "run_id": f"run-{number}",
        "environment_id": environment,
        "environment_name": "prod",
        "dataset_urn": _urn(number),
        "rule": "exact",
        "rule_source": "portal",
        "rule_pattern": "",
        "target_kind": "lambda",
        "target": "ingest",
        "invocation": "async",
        "machine_type": "",
        "reason": "nightly",
        "payload": "{}",
        "payload_hash": "0" * 64,
        "existence": "exists",
        "actor_id": 1,
        "actor_name": "admin",
        "actor_kind": "user",
        "status": "failed" if number % 40 == 1 else "succeeded",
        "answered": True,
        "settled": True,
        "error_status": 0,
        "log_tail": "",
        "attempts": 1,
        "max_attempts": 3,
        "created_at": at,
        "finished_at": at + timedelta(minutes=1),
        "looks": 3,
    }


def tokenization(number: int, at: Any, environment: int) -> dict[str, Any]:
    return {
        "environment_id": environment,
        "environment": "prod",
        "dataset": _urn(number),
        "engine": "postgres",
        "source_table": f"shop.public.t{number % 200}",
        "columns": [{"name": "email", "reason": "tag", "scheme": "v1"}],
        "scheme": "v1",
        "key_fingerprint": "0" * 16,
        "trigger_kind": "page",
        "state": "failed" if number % 40 == 1 else "succeeded",
        "actor_id": 1,
        "actor_name": "admin",
        "actor_kind": "user",
        "created_at": at,
        "started_at": at,
        "finished_at": at + timedelta(minutes=1),
        "rows_scanned": 100,
        "rows_updated": 100,
        "details": "",
        "write_back": "succeeded",
        "write_back_details": "",
        "write_back_attempts": 1,
        "method": "in-place",
        "clean_up": "",
    }


def user_sync(number: int, finished: Any) -> list[Any]:
    """A plan with three people, applied by a run of the same number."""
    from backend.models import SyncPlan, SyncRun

    people = [
        row
        for place in range(3)
        for row in _person(number, place, f"{place}@example.org", finished)
    ]
    return [
        SyncPlan(**sync_plan(number, finished, 1)),
        SyncRun(**sync_run(number, finished, 1)),
        *people,
    ]


def sync_run(number: int, finished: Any, environment: int) -> dict[str, Any]:
    return {
        "id": number,
        "plan_id": number,
        "environment_id": environment,
        "environment": "prod",
        "state": "succeeded",
        "note": "",
        "actor_id": 1,
        "actor_name": "admin",
        "actor_role": "admin",
        "actor_kind": "user",
        "total": 3,
        "created_at": finished,
        "finished_at": finished,
    }


def sync_plan(number: int, at: Any, environment: int) -> dict[str, Any]:
    """One that was applied by the run of its number."""
    return {
        "id": number,
        "environment_id": environment,
        "environment": "prod",
        "actor_name": "admin",
        "state": "ready",
        "origin": "page",
        "created_at": at,
        "ready_at": at,
        "expires_at": at + timedelta(days=1),
        "host_port": "https://catalog.example.org",
        "server_version": "1.0",
        "directory_count": 3,
        "listed_count": 3,
        "matched_count": 3,
        "kinds": {},
        "fields": {},
        "domain_names": [],
        "digest": "0" * 64,
    }


def change(number: int, at: Any, environment: int) -> dict[str, Any]:
    """A request that was approved and carried out."""
    return {
        "environment_id": environment,
        "environment": "prod",
        "action": "mounts.mount",
        "subject": f"target {number % 50}",
        "reason": "",
        "shown": {},
        "ciphertext": "",
        "digest": "0" * 64,
        "rule": "1 approval",
        "needed": 1,
        "state": "succeeded",
        "requester_id": 1,
        "requester_name": "admin",
        "requester_kind": "user",
        "created_at": at,
        "expires_at": at + timedelta(days=3),
        "decided_at": at,
        "finished_at": at,
        "run_id": "",
        "outcome": "",
    }


def change_text(number: int, _at: Any, _environment: int) -> dict[str, Any]:
    """What the request of its number is found by."""
    return {"change_id": number, "text": f"target {number % 50}\nadmin\nmounts.mount"}


def _person(number: int, place: int, email: str, finished: Any) -> list[Any]:
    """Somebody's row of the plan and of its run."""
    from backend.models import SyncItem, SyncRow

    texts = ("old_domains", "new_domains", "inherited", "domain_keys", "search", "reason")
    row = SyncRow(
        plan_id=number,
        position=place,
        kind="update",
        email=email,
        sets_name=True,
        look_alike=False,
        sets_domains=False,
        **dict.fromkeys(texts, ""),
    )
    item = SyncItem(
        run_id=number,
        position=place,
        plan_id=number,
        user_id=str(place),
        email=email,
        state="applied",
        reason="",
        stored="displayName",
        finished_at=finished,
    )
    return [row, item]
