"""After the load: is every accepted write there, exactly once? Asked of the outside systems."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
from sqlalchemy import create_engine, text

from benchmarks._load_api import FIRST_JOB, Traffic
from benchmarks._load_jobs import Work
from benchmarks._load_parts import TABLES, Parts
from benchmarks._load_portal import Portal, audit
from benchmarks._load_size import Size

#: A row of the report: what, how many were accepted, how many are there, and does it hold.
Check = tuple[str, str, str, bool]


def all_checks(
    portal: Portal,
    parts: Parts,
    size: Size,
    accepted: Traffic,
    rounds: list[Work],
    tokens: dict[str, list[str]],
) -> Iterator[Check]:
    """Every comparison of what was accepted with what is there."""
    seen = parts.seen()
    yield _users(parts, rounds)
    yield from _tokens(parts, size, rounds, seen)
    yield from _ingestion(portal, accepted, seen, tokens["operator"][0])
    yield from _mounts(parts, accepted, seen)
    chain = audit(portal)
    yield (
        "audit chain",
        f"{chain['events']:,} events",
        "whole" if chain["ok"] else "broken",
        chain["ok"],
    )


def _users(parts: Parts, rounds: list[Work]) -> Check:
    """OpenMetadata counts a user's version up at each change: 0.2 is changed once."""
    wanted = Counter(email for work in rounds for email in work.applied)
    changed: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {parts.openmetadata['token']}"}
    query = {"limit": "1000"}
    with httpx.Client(headers=headers, timeout=120, trust_env=False) as client:
        while True:
            page = client.get(f"{parts.openmetadata['url']}/v1/users", params=query).json()
            changed |= {
                user["email"].lower(): user["version"]
                for user in page["data"]
                if user["version"] > 0.1
            }
            if not page["paging"].get("after"):
                break
            query["after"] = page["paging"]["after"]
    once = set(changed.values()) <= {0.2} and set(wanted.values()) <= {1}
    same = set(changed) == {email.lower() for email in wanted}
    return "users applied", f"{len(wanted):,}", f"{len(changed):,} changed once", once and same


def _tokens(parts: Parts, size: Size, rounds: list[Work], seen: dict[str, Any]) -> Iterator[Check]:
    with closing(parts.database.connect(parts.database_name)) as connection:
        for table, work in zip(TABLES, rounds, strict=True):
            cursor = connection.cursor()
            cursor.execute(
                "SELECT count(*), count(phone), count(*) FILTER (WHERE email LIKE 'tok\\_%'), "
                f"count(*) FILTER (WHERE phone LIKE 'tok\\_%'), count(DISTINCT email) FROM {table}"
            )
            rows, phones, email_tokens, phone_tokens, distinct = cursor.fetchone()
            whole = (rows, distinct, email_tokens) == (size.rows,) * 3 and phones == phone_tokens
            again = (work.tokenized, work.tokenized_again) == (size.rows, 0)
            yield (
                f"values tokenized, {table}",
                f"{work.tokenized:,} rows, the second run {work.tokenized_again}",
                f"{email_tokens + phone_tokens:,} tokens of {rows + phones:,} values",
                whole and again,
            )
            properties = seen["datasets"][parts.dataset(table)]["customProperties"]
            written = any("SUCCESS" in value for value in properties.values())
            yield f"write-back, {table}", "1", "in DataHub" if written else "missing", written


def _ingestion(
    portal: Portal, accepted: Traffic, seen: dict[str, Any], token: str
) -> Iterator[Check]:
    begun = Counter(seen["starts"])
    accepted_ids = set(accepted.runs.values())
    once = set(begun) == accepted_ids and set(begun.values()) <= {1}
    yield "ingestions started", f"{len(accepted_ids):,}", f"{sum(begun.values()):,} in AWS", once
    listed: dict[str, str] = {}
    count = 0
    cursor: int | None = None
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=portal.url, headers=headers, timeout=60, trust_env=False) as client:
        while True:
            query = {"limit": 200, **({"cursor": cursor} if cursor else {})}
            page = client.get("/api/ingestion/runs", params=query).json()
            listed |= {item["runId"]: item["message"] for item in page["items"]}
            count += len(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
    whole = set(listed) == accepted_ids and count == len(listed)
    odd = "".join(f"; {run}: {said}" for run, said in listed.items() if run not in accepted_ids)
    yield "ingestion runs kept", f"{len(accepted_ids):,}", f"{count:,} in the portal{odd}", whole


def _mounts(parts: Parts, accepted: Traffic, seen: dict[str, Any]) -> Iterator[Check]:
    engine = create_engine(parts.ledger)
    query = f"SELECT jobid, mounted FROM backup_target_mount_ledger WHERE jobid >= {FIRST_JOB}"
    with engine.connect() as connection:
        rows = connection.execute(text(query)).all()
    engine.dispose()
    there = Counter(row.jobid for row in rows)
    active = {row.jobid for row in rows if row.mounted}
    yield (
        "mounts and unmounts",
        f"{len(accepted.mounted):,} and {len(accepted.unmounted):,}",
        f"{len(rows):,} entries, {len(active):,} still mounted",
        there == Counter(accepted.mounted) and active == accepted.mounted - accepted.unmounted,
    )
    messages = Counter((action, job) for action, job, _target in seen["messages"])
    wanted = Counter([("mount", job) for job in accepted.mounted])
    wanted += Counter([("unmount", job) for job in accepted.unmounted])
    count = len(accepted.mounted) + len(accepted.unmounted)
    yield (
        "messages to DMS servers", f"{count:,}", f"{messages.total():,} received",
        messages == wanted,
    )  # fmt: skip


def wait_for_quiet(portal: Portal, token: str, seconds: float) -> None:
    """Until no job is under way, at most `seconds`."""
    headers = {"Authorization": f"Bearer {token}"}
    until = time.monotonic() + seconds
    with httpx.Client(base_url=portal.url, headers=headers, timeout=60, trust_env=False) as client:
        while time.monotonic() < until:
            jobs = client.get("/api/jobs", params={"limit": 50}).json()["items"]
            if not any(job["status"] in ("queued", "running") for job in jobs):
                return
            time.sleep(0.5)
