"""The heavy jobs, asked for over REST as a program would: plan and apply, tokenize twice."""

import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks._load_parts import Parts
from benchmarks._load_portal import Portal
from benchmarks._load_size import Size

LONGEST = 900.0
_UNDER_WAY = ("queued", "running")


@dataclass
class Work:
    """What one go of the jobs did. seconds: by job."""

    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    planned: int = 0
    applied: list[str] = field(default_factory=list)
    tokenized: int = -1
    tokenized_again: int = -1


class Jobs:
    """The programs' side. Each `…_round` is to be called in a thread of its own."""

    def __init__(
        self, portal: Portal, parts: Parts, tokens: dict[str, list[str]], size: Size
    ) -> None:
        self._parts, self._size = parts, size
        self._headers = {"Authorization": f"Bearer {tokens['jobs'][0]}"}
        self._url = portal.url

    def sync_round(self, work: Work) -> None:
        """Plan everybody and apply the first `changes` of the changes."""
        with self._client() as client:
            begun = time.perf_counter()
            plan = self._post(client, "/api/user-sync/plans", {})
            work.seconds["plan"] = time.perf_counter() - begun
            work.planned = plan["directory_users"]
            ids = self._changed(client, plan["plan_id"])[: self._size.changes]
            begun = time.perf_counter()
            path = f"/api/user-sync/plans/{plan['plan_id']}/apply"
            run = self._post(client, path, {"userIds": ids, "confirm": len(ids), "wait": 0})
            run = self._follow(client, f"/api/user-sync/runs/{run['run_id']}")
            work.seconds["apply"] = time.perf_counter() - begun
        work.applied = [row["email"] for row in run["rows"] if row["status"] == "applied"]
        if run["status"] != "succeeded" or len(work.applied) != len(ids):
            work.problems.append(
                f"applying ended as {run['status']} {run['summary']} {run['note']}"
            )

    def tokenize_round(self, work: Work, table: str) -> None:
        """Tokenize both columns and write back to DataHub, then once more for nothing."""
        with self._client() as client:
            begun = time.perf_counter()
            first = self._tokenize(client, table)
            work.seconds["tokenize"] = time.perf_counter() - begun
            second = self._tokenize(client, table)
        work.tokenized = first["rows_updated"]
        work.tokenized_again = second["rows_updated"]
        for run in (first, second):
            if run["status"] not in ("succeeded", "skipped"):
                work.problems.append(f"tokenization of {table} ended as {run}")
        if first["writeback"] != "succeeded":
            work.problems.append(f"the write-back of {table} ended as {first}")

    def _tokenize(self, client: httpx.Client, table: str) -> dict[str, Any]:
        body = {"dataset": self._parts.dataset(table), "columns": ["email", "phone"]}
        run = self._post(client, "/api/tokenization/runs", body)
        return self._follow(client, f"/api/tokenization/runs/{run['run_id']}")

    def _changed(self, client: httpx.Client, plan: int) -> list[str]:
        """The OpenMetadata ids of every user that the plan would change, in order."""
        ids: list[str] = []
        offset: int | None = 0
        while offset is not None:
            page = self._get(
                client, f"/api/user-sync/plans/{plan}", {"kind": "update", "offset": offset}
            )
            ids += [row["user_id"] for row in page["rows"]]
            offset = page["next_cursor"]
        return ids

    def _follow(self, client: httpx.Client, path: str) -> dict[str, Any]:
        """Ask until the run has ended, its write-back to DataHub too."""
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            found = self._get(client, path, {})
            state = found.get("status")
            if state not in _UNDER_WAY and found.get("writeback") != "pending":
                return found
            time.sleep(0.25)
        raise RuntimeError(f"{path} did not end in {LONGEST:.0f} s")

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._url, headers=self._headers, timeout=LONGEST, trust_env=False
        )

    def _post(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _document(client.post(path, json=body))

    def _get(self, client: httpx.Client, path: str, params: dict[str, Any]) -> dict[str, Any]:
        return _document(client.get(path, params=params))


def _document(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code not in (200, 202):
        raise RuntimeError(f"{answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    found: dict[str, Any] = answer.json()
    return found
