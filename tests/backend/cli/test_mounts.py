"""`python -m backend mounts`: shapes, exit statuses, and the same rules as the page."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backend.cli import common, main
from backend.core.database import Database
from backend.sandbox.dms_agent import GONE_HOST
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment


class Ended(NamedTuple):
    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def run(
    database: Database,
    lab: MountsEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """run("active", "--json") → exit status, stdout, stderr."""

    def do(*arguments: str, stdin: str = "") -> Ended:
        common.database.cache_clear()
        monkeypatch.setattr(sys, "argv", ["backend", "mounts", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        status = main.main()
        return Ended(status, *capsys.readouterr())

    return do


def _file(tmp_path: Path, document: Any) -> str:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(document))
    return str(path)


class TestLists:
    @pytest.mark.parametrize("view", ["active", "history", "orphans"])
    def test_shapes(self, run: Run, view: str) -> None:
        document = run(view, "--json").json()
        assert {"items", "next_cursor"} <= set(document)
        assert {
            "id", "backup_target_id", "jobid", "host", "mounted", "created_at",
        } <= set(document["items"][0])  # fmt: skip

    def test_pages_follow_the_cursor(self, run: Run) -> None:
        first = run("history", "--limit", "5", "--json").json()
        second = run("history", "--limit", "5", "--cursor", first["next_cursor"], "--json").json()
        assert max(i["id"] for i in second["items"]) < min(i["id"] for i in first["items"])

    def test_people_get_a_table(self, run: Run) -> None:
        ended = run("active", "--host", "compute-01")
        assert ended.out.splitlines()[0].split() == [
            "Entry", "Backup", "job", "Target", "Host", "Mounted", "Since",
        ]  # fmt: skip

    def test_orphans_say_why(self, run: Run) -> None:
        [item] = run("orphans", "--reason", "no_queue", "--json").json()["items"]
        assert {reason["kind"] for reason in item["reasons"]} >= {"no_queue", "too_old"}
        assert "does not exist" in run("orphans", "--reason", "no_queue").out

    def test_export_is_csv(self, run: Run) -> None:
        lines = run("export", "--host", "compute-01").out.splitlines()
        assert lines[0].startswith("id,backup_target_id")

    def test_export_takes_the_filters_of_the_history(self, run: Run) -> None:
        def exported(*options: str) -> list[dict[str, str]]:
            return list(csv.DictReader(io.StringIO(run("export", *options).out)))

        active, everything = exported(), exported("--all")
        assert {(row["mounted"], row["deleted"]) for row in active} == {("true", "false")}
        assert len(everything) > len(exported("--unmounted")) > len(active)
        assert {row["deleted"] for row in exported("--deleted")} == {"true"}
        middle = sorted(row["created_at"] for row in everything)[len(everything) // 2][:19]
        earlier = exported("--all", "--until", middle.replace(" ", "T"))
        assert 0 < len(earlier) < len(everything)

    def test_a_wrong_cursor_is_one_line(self, run: Run) -> None:
        ended = run("history", "--cursor", "???")
        assert ended.status == 1
        assert len(ended.err.splitlines()) == 1


class TestActions:
    def test_mount_unmount_delete(self, run: Run, tmp_path: Path) -> None:
        file = _file(tmp_path, mount_request(jobid=7, target="cli", host="compute-03"))
        mounted = run("mount", file)
        assert mounted.status == 0
        assert {"status", "error_msg", "success_msg", "outcome"} <= set(mounted.json())
        assert mounted.json()["outcome"] == "replied"
        assert run("status", "7", "cli", "--json").json()["mounted"] is True
        refused = run("delete", "7", "cli")
        assert (refused.status, "still has cli mounted" in refused.err) == (1, True)
        assert run("unmount", file, "--json").json()["status"] == "success"
        assert run("delete", "7", "cli").out == "1 entry is marked deleted.\n"
        assert run("delete", "7", "cli").status == 1

    def test_a_failed_mount_prints_its_response_and_ends_with_1(
        self, run: Run, tmp_path: Path
    ) -> None:
        file = _file(tmp_path, mount_request(host="compute-09"))
        ended = run("mount", file, "--json")
        assert ended.status == 1
        assert ended.json()["outcome"] == "not_delivered"
        assert len(ended.err.splitlines()) == 1

    def test_a_wrong_request_names_every_field(self, run: Run, tmp_path: Path) -> None:
        ended = run("mount", _file(tmp_path, {}))
        assert ended.status == 1
        assert "backup_target" in ended.err
        assert ended.json()["outcome"] == "not_delivered"

    @pytest.mark.parametrize("text", ["not json", "[1]"])
    def test_a_file_that_is_no_request(self, run: Run, text: str) -> None:
        ended = run("mount", "-", stdin=text)
        assert (ended.status, ended.json()["outcome"]) == (1, "not_delivered")
        assert ended.json()["error_msg"] == ended.err.strip()

    def test_in_an_environment_that_is_not_there(self, run: Run, tmp_path: Path) -> None:
        ended = run("mount", _file(tmp_path, {}), "--environment", "nowhere", "--json")
        assert (ended.status, ended.json()["outcome"]) == (1, "not_delivered")
        assert ended.json()["error_msg"] == ended.err.strip()

    def test_a_recheck_of_nothing_says_so_and_claims_no_outcome(self, run: Run) -> None:
        ended = run("recheck", "no-such-operation", "--json")
        assert (ended.status, list(ended.json())) == (1, ["error", "detail"])

    def test_a_missing_file(self, run: Run) -> None:
        said = run("mount", "/no/such/file.json").err
        assert said == "/no/such/file.json cannot be read: No such file or directory.\n"

    def test_the_status_of_what_never_was_is_an_empty_document_and_a_line(self, run: Run) -> None:
        ended = run("status", "99", "never", "--json")
        assert (ended.status, ended.json()) == (1, {"items": [], "next_cursor": None})
        assert ended.err == "The ledger has no entry for job 99 and target never.\n"

    def test_recheck(self, run: Run) -> None:
        [operation] = run("operations", "--status", "unknown", "--json").json()["items"]
        ended = run("recheck", operation["operation_id"])
        assert (ended.status, ended.json()["outcome"]) == (1, "unknown")

    def test_scan_and_age(self, run: Run) -> None:
        assert run("max-age", "1000", "--json").json()["max_age_hours"] == 1000
        assert run("scan", "--json").json()["too_old"] == 0

    def test_templates(self, run: Run) -> None:
        made = run(
            "targets", "set", "by-name", "--type", "s3", "--mount-path", "/mnt/x",
            stdin="http://barbican/ref\n",
        )  # fmt: skip
        assert made.status == 0
        listed = run("targets", "list", "--json")
        assert listed.json()["items"][0]["target_id"] == "by-name"
        assert "barbican" not in listed.out
        said = run("targets", "list").out
        assert "by-name" in said
        assert "Known from earlier mounts, without a template: " in said
        assert "s3-prod-eu" in said
        assert run("targets", "remove", "by-name").status == 0
        assert run("targets", "list").out.startswith("No template.\nKnown from")


class TestVerify:
    def test_the_server_is_asked_about_an_entry(self, run: Run, tmp_path: Path) -> None:
        request = mount_request(jobid=77)
        assert run("mount", _file(tmp_path, request)).status == 0
        arguments = ("verify", "77", "target-1", "--request", _file(tmp_path, request))
        ended = run(*arguments, "--json")
        assert ended.status == 0, ended.err
        assert ended.json()["verdict"] == "agreed"
        assert ended.json()["outcome"] == "replied"
        assert "agree" in run(*arguments).out

    def test_the_template_of_an_s3_target_needs_the_token_besides(
        self, run: Run, tmp_path: Path
    ) -> None:
        assert run("mount", _file(tmp_path, mount_request(jobid=77))).status == 0
        path = "/var/lib/trilio/triliovault-mounts/target-1"
        made = ("targets", "set", "target-1", "--type", "s3", "--mount-path", path)
        assert run(*made, stdin="http://barbican/ref\n").status == 0
        alone = run("verify", "77", "target-1")
        assert alone.status == 1
        assert "keystone_token" in alone.err
        ended = run("verify", "77", "target-1", "--keystone-token-file", "-", stdin="tok-1\n")
        assert (ended.status, ended.err) == (0, "")
        assert "agree" in ended.out

    def test_an_entry_that_is_not_there_is_said(self, run: Run) -> None:
        ended = run("verify", "424242", "target-1")
        assert (ended.status, ended.out) == (1, "")
        assert "job 424242 and target target-1" in ended.err

    def test_a_request_of_another_job_is_refused(self, run: Run, tmp_path: Path) -> None:
        assert run("mount", _file(tmp_path, mount_request(jobid=77))).status == 0
        other = _file(tmp_path, mount_request(jobid=78))
        ended = run("verify", "77", "target-1", "--request", other)
        assert ended.status == 1
        assert "not one of job 77" in ended.err


class TestRelease:
    def test_without_yes_it_is_a_plan_and_with_it_the_host_has_nothing_mounted(
        self, run: Run
    ) -> None:
        plan = run("release", GONE_HOST, "--json").json()
        assert plan["evidence"] == f"The queue dms.{GONE_HOST} does not exist."
        assert plan["entries"]
        assert run("release", GONE_HOST).status == 0
        done = run("release", GONE_HOST, "--yes", "--json").json()
        assert done == {
            "host": GONE_HOST,
            "released": len(plan["entries"]),
            "skipped": 0,
            "reasons": [],
        }
        assert run("active", "--host", GONE_HOST, "--json").json()["items"] == []
        again = run("release", GONE_HOST)
        assert again.status == 1
        assert "no entry for anything mounted on" in again.err

    def test_a_host_that_is_served_is_refused(self, run: Run, tmp_path: Path) -> None:
        file = _file(tmp_path, mount_request(jobid=71, target="served", host="compute-02"))
        assert run("mount", file).status == 0
        assert "A DMS server reads" in run("release", "compute-02", "--json").json()["refused"]
        ended = run("release", "compute-02", "--yes")
        assert ended.status == 1
        assert "A DMS server reads dms.compute-02" in ended.err
