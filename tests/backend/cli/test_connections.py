"""environments, connections and refresh_client_info on the command line."""

import json
from pathlib import Path

import pytest

from backend.connections import resolve
from backend.core.database import Database
from backend.sandbox.datahub import StandIn
from tests.backend.cli.conftest import RunCli as Run
from tests.fixtures.certificates import Authority


@pytest.fixture
def run(run_cli: Run) -> Run:
    """run("environments", "list", stdin="…") → exit status, stdout, stderr."""
    return run_cli


@pytest.fixture
def prod(run: Run) -> None:
    assert run("environments", "add", "prod").status == 0


class TestEnvironments:
    def test_the_first_one_becomes_the_default(self, run: Run) -> None:
        said = run("environments", "add", "prod").out
        assert "It is the default now, used where no environment is named." in said
        assert "default" not in run("environments", "add", "stage").out
        listed = json.loads(run("environments", "list", "--json").out)["environments"]
        assert [(e["name"], e["is_default"]) for e in listed] == [("prod", True), ("stage", False)]

    def test_default_can_be_asked_for(self, run: Run, prod: None) -> None:
        run("environments", "add", "live", "--default")
        listed = json.loads(run("environments", "list", "--json").out)["environments"]
        assert [e["name"] for e in listed if e["is_default"]] == ["live"]

    def test_a_name_that_exists_is_one_line_and_status_1(self, run: Run, prod: None) -> None:
        ended = run("environments", "add", "PROD")
        assert ended.status == 1
        assert ended.err.count("\n") == 1
        assert "exists already" in ended.err

    def test_remove_needs_the_exact_name(self, run: Run, prod: None) -> None:
        assert run("environments", "remove", "PROD").status == 1
        assert run("environments", "remove", "prod").status == 0
        assert "No environment yet" in run("environments", "list").out

    def test_rename_and_default(self, run: Run, prod: None) -> None:
        run("environments", "add", "stage")
        assert run("environments", "rename", "stage", "Stage 2").status == 0
        assert run("environments", "default", "stage 2").status == 0
        assert run("environments", "list").out.splitlines()[1].startswith("Stage 2  yes")


class TestTrust:
    def test_an_authority_is_given_shown_and_forgotten(
        self, run: Run, prod: None, tmp_path: Path
    ) -> None:
        file = tmp_path / "ca.pem"
        file.write_text(Authority().pem)
        assert "CN=Acme Test CA" in run("environments", "trust", "prod", "--ca-file", str(file)).out
        shown = json.loads(run("environments", "trust", "prod", "--json").out)
        assert (shown["verify_tls"], shown["authorities"]) == (True, ["CN=Acme Test CA"])
        assert "Acme" not in run("environments", "trust", "prod", "--clear-ca").out

    def test_no_verification_is_said(self, run: Run, prod: None) -> None:
        assert "NO certificate" in run("environments", "trust", "prod", "--no-verify").out
        assert "NO certificate" in run("environments", "trust", "prod").out
        assert "NO certificate" not in run("environments", "trust", "prod", "--verify").out

    def test_a_file_that_is_none_changes_nothing(
        self, run: Run, prod: None, tmp_path: Path
    ) -> None:
        file = tmp_path / "ca.pem"
        file.write_text("nonsense")
        ended = run("environments", "trust", "prod", "--ca-file", str(file), "--no-verify")
        assert ended.status == 1
        assert "cannot be read" in ended.err
        assert json.loads(run("environments", "trust", "prod", "--json").out)["verify_tls"] is True


class TestSet:
    def test_settings_and_a_secret_from_stdin(
        self, run: Run, prod: None, database: Database
    ) -> None:
        ended = run(
            *("connections", "set", "prod", "postgres", "host=db", "database=d", "user=u"),
            *("--secret", "password"),
            stdin="p w\n",
        )
        assert ended.status == 0, ended.err
        with database.read() as session:
            found = resolve.connection(session, kind="postgres")
        assert found.secrets == {"password": "p w"}
        assert found.settings["host"] == "db"

    @pytest.mark.parametrize("where", ["pair", "option"])
    def test_a_secret_from_a_file(
        self, run: Run, prod: None, database: Database, tmp_path: Path, where: str
    ) -> None:
        path = tmp_path / "token"
        path.write_text("t0ken\n")
        secret = [f"token=@{path}"] if where == "pair" else ["--secret", f"token=@{path}"]
        ended = run("connections", "set", "prod", "datahub", "server=http://gms", *secret)
        assert ended.status == 0, ended.err
        with database.read() as session:
            assert resolve.connection(session, kind="datahub").secrets == {"token": "t0ken"}

    @pytest.mark.parametrize("where", ["pair", "option"])
    def test_a_secret_in_the_argument_list_is_refused_and_not_repeated(
        self, run: Run, prod: None, database: Database, where: str
    ) -> None:
        secret = ["token=planted"] if where == "pair" else ["--secret", "token=planted"]
        ended = run("connections", "set", "prod", "datahub", "server=http://gms", *secret)
        assert ended.status == 1
        assert "--secret token" in ended.err
        assert "=@FILE" in ended.err
        assert "planted" not in ended.err + ended.out
        with database.read() as session:
            assert resolve.find(session, kind="datahub") is None

    def test_an_unknown_name_is_one_line_with_the_allowed_ones(self, run: Run, prod: None) -> None:
        ended = run("connections", "set", "prod", "rabbitmq", "host=h")
        assert ended.status == 1
        assert ended.err == (
            "rabbitmq has no 'host'; allowed are settings url; secrets password.\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [
            (("prod", "rabbitmq", "url"), 2),
            (("prod",), 2),
            (("prod", "nope", "a=b"), 2),
            (("nope", "rabbitmq", "url=amqp://h"), 1),
            (("prod", "datahub", "server=http://gms", "--secret", "nope"), 1),
            (("prod", "datahub", "server=http://gms", "--secret", "token"), 1),
            (("prod", "datahub", "server=http://gms", "--secret", "token=@/no/such/file"), 1),
        ],
    )
    def test_wrong_use_is_2_and_wrong_values_are_1(
        self, run: Run, prod: None, arguments: tuple[str, ...], status: int
    ) -> None:
        ended = run("connections", "set", *arguments)
        assert ended.status == status
        assert ended.err
        assert "Traceback" not in ended.err

    def test_a_password_inside_a_url_is_moved_and_said(
        self, run: Run, prod: None, database: Database
    ) -> None:
        ended = run("connections", "set", "prod", "rabbitmq", "url=amqp://dms:planted@h:5672/")
        assert "argument list" in ended.out
        assert "planted" not in ended.out
        shown = run("connections", "show", "prod").out
        assert "planted" not in shown
        assert "amqp://dms@h:5672/" in shown

    def test_a_secret_can_be_forgotten(self, run: Run, prod: None, database: Database) -> None:
        base = ("connections", "set", "prod", "datahub")
        run(*base, "server=http://gms", "--secret", "token", stdin="t0ken\n")
        assert run(*base, "--clear-secret", "token").status == 0
        with database.read() as session:
            assert resolve.connection(session, kind="datahub").secrets == {}


class TestTest:
    def test_json_is_printed_also_when_a_test_failed(self, run: Run, prod: None) -> None:
        run("connections", "set", "prod", "tokenization", "scheme=hmac-sha256")
        run("connections", "set", "prod", "datahub", "server=http://127.0.0.1:1")
        ended = run("connections", "test", "PROD", "--json")
        assert ended.status == 1
        document = json.loads(ended.out)
        assert document["environment"] == "prod"
        results = {item["kind"]: item for item in document["results"]}
        keys = {"kind", "ok", "latency_ms", "server_version", "cause", "advice"}
        assert all(keys <= set(item) for item in results.values())
        assert results["tokenization"]["ok"]
        assert not results["datahub"]["ok"]
        assert results["datahub"]["advice"]
        assert "1 of 2 failed: datahub" in ended.err

    def test_one_kind_that_works_is_status_0(self, run: Run, prod: None) -> None:
        run("connections", "set", "prod", "tokenization")
        ended = run("connections", "test", "prod", "tokenization")
        assert ended.status == 0
        assert ended.out.startswith("tokenization: ok")
        for _again in range(21):
            run("connections", "test", "prod", "tokenization")
        # All that are kept.
        history = run("connections", "history", "prod", "tokenization").out
        assert history.count("tokenization: ok") == 22

    def test_what_is_not_configured_fails_with_its_document(self, run: Run, prod: None) -> None:
        ended = run("connections", "test", "prod", "aws", "--json")
        assert ended.status == 1
        assert not json.loads(ended.out)["results"][0]["ok"]

    def test_remove_forgets_it(self, run: Run, prod: None) -> None:
        run("connections", "set", "prod", "aws", "region=eu-central-1")
        assert run("connections", "remove", "prod", "aws").status == 0
        assert "aws: not configured" in run("connections", "show", "prod", "aws").out


class TestNames:
    def test_documents_carry_the_name_as_it_is_written(self, run: Run, prod: None) -> None:
        for command in (("show", "PROD"), ("history", "PROD", "aws")):
            assert json.loads(run("connections", *command, "--json").out)["environment"] == "prod"

    def test_advice_can_be_copied_into_a_shell(self, run: Run) -> None:
        run("environments", "add", "Prod Süd (1)")
        ended = run("connections", "test", "Prod Süd (1)", "aws")
        assert "connections set 'Prod Süd (1)' aws" in ended.out
        assert "connections set 'Prod Süd (1)' " in run("users", "plan", "prod süd (1)").err


class TestRefreshClientInfo:
    def test_without_any_environment_it_says_what_is_missing(self, run: Run) -> None:
        ended = run("refresh_client_info")
        assert ended.status == 1
        assert "No default environment found" in ended.err

    def test_without_flags_it_shows_the_status_of_all_and_asks_nobody(
        self, run: Run, prod: None
    ) -> None:
        run("environments", "add", "stage")
        run("connections", "set", "prod", "datahub", "server=http://127.0.0.1:1")
        ended = run("refresh_client_info")
        assert ended.status == 0
        assert ended.out == "prod: unknown\nstage: unknown\n"

    def test_all_verbose_prints_every_field(self, run: Run, prod: None) -> None:
        with StandIn(token="planted") as gms:
            run(
                *("connections", "set", "prod", "datahub", f"server={gms.url}"),
                *("--secret", "token"),
                stdin="planted\n",
            )
            ended = run("refresh_client_info", "--all", "--verbose")
        assert ended.status == 0, ended.err
        for field in ("client_id", "server_id", "server_config", "last_connection_test"):
            assert f"  {field}: " in ended.out
        assert "prod: refreshed, client id " in ended.out
        assert "prod: connected" in ended.out
        assert "planted" not in ended.out + ended.err

    def test_what_was_done_is_done_also_without_a_default_environment(self, run: Run) -> None:
        with StandIn(token="planted") as gms:
            run("environments", "add", "gone")
            run("environments", "add", "stage")
            datahub = ("stage", "datahub", f"server={gms.url}", "--secret", "token")
            run("connections", "set", *datahub, stdin="planted\n")
            run("environments", "remove", "gone")
            for arguments in (("--all",), ("--environment", "STAGE"), ()):
                ended = run("refresh_client_info", *arguments)
                assert (ended.status, ended.err) == (0, ""), arguments

    def test_one_environment_and_json(self, run: Run, prod: None) -> None:
        run("connections", "set", "prod", "datahub", "server=http://127.0.0.1:1")
        ended = run("refresh_client_info", "--environment", "PROD", "--json")
        assert ended.status == 1
        document = json.loads(ended.out)
        assert document["refreshed"][0]["outcome"] == "failed"
        assert document["environments"][0]["connection_status"] == "failed"
        assert "prod" in ended.err

    def test_an_environment_without_datahub_is_named_as_it_is_written(
        self, run: Run, prod: None
    ) -> None:
        ended = run("refresh_client_info", "--environment", "PROD")
        assert (ended.status, ended.err) == (1, "Environment 'prod' has no DataHub connection.\n")

    def test_an_unknown_environment_and_both_flags_are_refused(self, run: Run, prod: None) -> None:
        assert run("refresh_client_info", "--environment", "nope").status == 1
        assert run("refresh_client_info", "--environment", "prod", "--all").status == 2
