"""accounts, tokens and audit on the command line."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text, update

from backend.accounts import api_tokens, passwords, service, sign_in
from backend.connections import environments
from backend.core import access
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.core.errors import NotAuthenticated
from backend.core.settings import get_settings
from backend.models import ApiToken
from tests.backend.cli.conftest import RunCli

PASSWORD = "velvet otter counts lamps"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "ROUNDS", 4)


@pytest.fixture
def ann(run_cli: RunCli) -> None:
    done = run_cli("accounts", "add", "ann", "--role", "steward", stdin=PASSWORD + "\n")
    assert done.status == 0, done.err


def enter(database: Database, password: str = PASSWORD) -> Role:
    return sign_in.authenticate(database, name="ann", password=password, address="").role


def test_what_each_role_may_do(run_cli: RunCli) -> None:
    items = json.loads(run_cli("accounts", "roles", "--json").out)["items"]
    [mounts] = [each for each in items if each["permission"] == "mounts:mount:write"]
    assert mounts["roles"] == ["operator", "admin"]
    assert mounts["words"] in run_cli("accounts", "roles").out


class TestAccounts:
    def test_add_reads_the_password_from_stdin(self, ann: None, database: Database) -> None:
        assert enter(database) is Role.STEWARD

    def test_list_shows_role_and_state_and_no_secret(self, run_cli: RunCli, ann: None) -> None:
        done = run_cli("accounts", "list", "--json")
        (item,) = json.loads(done.out)["items"]
        assert (item["name"], item["role"], item["disabled"]) == ("ann", "steward", False)
        assert "bcrypt" not in done.out
        assert "ann" in run_cli("accounts", "list").out

    def test_disable_and_enable(self, run_cli: RunCli, ann: None, database: Database) -> None:
        assert run_cli("accounts", "disable", "ANN").status == 0
        with pytest.raises(NotAuthenticated):
            enter(database)
        assert run_cli("accounts", "enable", "ann").status == 0
        assert enter(database) is Role.STEWARD

    def test_rename_link_merge_delete(self, run_cli: RunCli, ann: None, database: Database) -> None:
        assert run_cli("accounts", "rename", "ann", "anna").status == 0
        link = ("accounts", "link", "anna", "--issuer", "https://idp.example", "--subject", "7")
        assert run_cli(*link).status == 0
        (one,) = json.loads(run_cli("accounts", "identities", "anna", "--json").out)["items"]
        assert one["issuer"] == "https://idp.example"
        run_cli("accounts", "add", "ben", "--role", "viewer", stdin=PASSWORD + "\n")
        assert run_cli("accounts", "merge", "anna", "ben").status == 0
        (moved,) = json.loads(run_cli("accounts", "identities", "ben", "--json").out)["items"]
        assert run_cli("accounts", "unlink", "ben", str(moved["id"])).status == 0
        refused = run_cli("accounts", "delete", "ben")
        assert "Nothing was done: add --yes" in refused.err
        assert run_cli("accounts", "delete", "ben", "--yes").status == 0
        assert json.loads(run_cli("accounts", "list", "--json").out)["items"] == []

    def test_break_glass_prints_a_password_that_signs_in(
        self, run_cli: RunCli, database: Database
    ) -> None:
        done = run_cli("accounts", "break-glass", "--hours", "2")
        assert "/?emergency=1" in done.err
        raw = done.out.strip().splitlines()[-1]
        entered = sign_in.authenticate(database, name="break-glass", password=raw, address="")
        assert entered.role is Role.ADMIN

    def test_role(self, run_cli: RunCli, ann: None, database: Database) -> None:
        assert run_cli("accounts", "role", "ann", "operator").status == 0
        assert enter(database) is Role.OPERATOR

    def test_reset_prints_the_password_alone(
        self, run_cli: RunCli, ann: None, database: Database
    ) -> None:
        raw = run_cli("accounts", "reset-password", "ann").out.strip()
        assert enter(database, raw) is Role.STEWARD

    @pytest.mark.parametrize(
        ("arguments", "stdin", "says"),
        [
            (("add", "ANN", "--role", "viewer"), PASSWORD, "ANN already"),
            (("add", "ben", "--role", "viewer"), "short", "at least 8"),
            (("add", "ben", "--role", "viewer"), "", "No password on stdin"),
            (("disable", "nobody"), "", "no account named nobody"),
        ],
    )
    def test_a_refusal_is_one_line_and_status_1(
        self, run_cli: RunCli, ann: None, arguments: tuple[str, ...], stdin: str, says: str
    ) -> None:
        done = run_cli("accounts", *arguments, stdin=stdin)
        assert done.status == 1
        assert says in done.err
        assert done.err.count("\n") == 1
        assert PASSWORD not in done.out + done.err

    def test_wrong_usage_is_status_2(self, run_cli: RunCli) -> None:
        assert run_cli("accounts", "add", "ben").status == 2


class TestTokens:
    @pytest.mark.parametrize("words", [("tokens",), ("accounts", "tokens")])
    def test_add_prints_the_token_alone_on_its_last_line(
        self, run_cli: RunCli, database: Database, words: tuple[str, ...]
    ) -> None:
        done = run_cli(*words, "add", "nightly", "--role", "operator")
        raw = done.out.splitlines()[-1]
        with database.read() as session:
            assert api_tokens.authenticate(session, raw).role is Role.OPERATOR

    def test_list_and_revoke(self, run_cli: RunCli, database: Database) -> None:
        raw = run_cli("tokens", "add", "nightly", "--role", "viewer").out.splitlines()[-1]
        listed = run_cli("tokens", "list", "--json").out
        assert raw[-43:] not in listed
        (item,) = json.loads(listed)["items"]
        assert run_cli("tokens", "revoke", str(item["id"])).status == 0
        with database.read() as session, pytest.raises(NotAuthenticated):
            api_tokens.authenticate(session, raw)


class TestAuditVerify:
    def test_says_that_the_log_is_whole(self, run_cli: RunCli, ann: None) -> None:
        done = run_cli("audit", "verify", "--json")
        assert done.status == 0
        document = json.loads(done.out)
        assert (document["ok"], document["events"], document["first_broken"]) == (True, 1, None)

    def test_names_the_first_broken_row_and_still_prints_the_document(
        self, run_cli: RunCli, ann: None, database: Database
    ) -> None:
        with database.write() as session:
            session.execute(text("UPDATE audit_events SET subject = 'x' WHERE number = 1"))
        done = run_cli("audit", "verify", "--json")
        assert done.status == 1
        assert json.loads(done.out)["first_broken"] == 1
        assert "first broken row: 1" in done.err


class TestTokenList:
    def test_says_when_each_token_ends_and_which_has_ended(
        self, run_cli: RunCli, database: Database
    ) -> None:
        for name, days in (("default", ()), ("a-day", ("--days", "1")), ("past", ("--days", "1"))):
            run_cli("tokens", "add", name, "--role", "viewer", *days)
        with database.write() as session:
            session.execute(
                update(ApiToken)
                .where(ApiToken.name == "past")
                .values(expires_at=datetime(2020, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC))
            )
        head, *lines = run_cli("tokens", "list").out.splitlines()
        assert head.split("  ")[0] == "ID"
        assert "ENDS" in head
        said = {line.split()[1]: line.split()[3:] for line in lines}
        assert said["past"][:-1] == ["ended", "2020-01-02T03:04:05Z", "never", "all", "all"]
        assert said["past"][-1].startswith("cli:")
        for name in ("default", "a-day"):
            state, ends, *_ = said[name]
            assert state == "valid"
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ends)


class TestActingAsAToken:
    """PORTAL_API_TOKEN: the same limits as over REST, from the same place."""

    @pytest.fixture
    def act_as(
        self, run_cli: RunCli, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[..., None]]:
        with database.write() as session:
            for name in ("Staging", "Production"):
                environments.add(session, SYSTEM, name=name)

        def act(*arguments: str) -> None:
            made = run_cli("tokens", "add", "narrow", "--role", "operator", *arguments)
            monkeypatch.setenv("PORTAL_API_TOKEN", made.out.split()[-1])
            get_settings.cache_clear()

        yield act
        monkeypatch.undo()
        get_settings.cache_clear()
        access.limit_environments(None)

    def test_only_where_and_what_it_may(self, run_cli: RunCli, act_as: Callable[..., None]) -> None:
        act_as("--environment", "Staging", "--action", "connections")
        reached = run_cli("connections", "test", "Staging").err
        assert reached == "'Staging' has no connections to test yet.\n"
        refused = run_cli("connections", "test", "Production").err
        assert refused.startswith("This API token is limited to other environments than Production")
        assert "is limited to other actions" in run_cli("ingest", "runs").err
        assert "(accounts:account:read)" in run_cli("accounts", "list").err

    def test_a_bad_one_is_no_admin(
        self, run_cli: RunCli, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PORTAL_API_TOKEN", "spt_nonsense")
        get_settings.cache_clear()
        assert "missing, unknown, expired or revoked" in run_cli("accounts", "list").err
        monkeypatch.undo()
        get_settings.cache_clear()


class TestLongLists:
    """Nothing is cut without saying so, and each list can be gone through."""

    def test_accounts_by_name_and_by_a_part_of_it(
        self, run_cli: RunCli, database: Database
    ) -> None:
        with database.write() as session:
            for name in ("ann", "Ben", "cleo", "ann's deputy", "50% off"):
                service.add_account(session, SYSTEM, name=name, role=Role.VIEWER, stored=None)
        seen, cursor = [], ""
        while True:
            done = run_cli("accounts", "list", "--limit", "2", "--cursor", cursor, "--json")
            page = json.loads(done.out)
            seen += [item["name"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == ["50% off", "ann", "ann's deputy", "Ben", "cleo"]
        assert run_cli("accounts", "list", "--limit", "3").out.endswith(
            "There are more: --cursor 'ann'\"'\"'s deputy'\n"
        )
        found = json.loads(run_cli("accounts", "list", "--name", "%", "--json").out)["items"]
        assert [item["name"] for item in found] == ["50% off"]

    def test_tokens_newest_first(self, run_cli: RunCli, database: Database) -> None:
        with database.write() as session:
            for number in range(3):
                api_tokens.add(session, SYSTEM, name=f"t{number}", role=Role.VIEWER)
        page = json.loads(run_cli("tokens", "list", "--limit", "2", "--json").out)
        assert [item["name"] for item in page["items"]] == ["t2", "t1"]
        assert page["items"][0]["state"] == "valid"
        rest = run_cli("tokens", "list", "--cursor", str(page["next_cursor"]), "--json")
        assert [item["name"] for item in json.loads(rest.out)["items"]] == ["t0"]
