"""The mapping kept in the portal: edit, import, export, and rules that never answer."""

import json
import sys
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace

import pytest
from sqlalchemy.orm import Session

from backend.connections import environments, health, testing
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import Conflict, InvalidInput, NotPermitted
from backend.ingestion import checks, mapping, resolve, run_context
from backend.ingestion.errors import RuleNotFound
from backend.ingestion.schemas import Candidate
from backend.ingestion.targets import BadTarget
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import OTHER, URN, AddRule

TAG = "urn:li:tag:layer/source"


def _rules(database: Database, **arguments: object) -> dict[tuple[str, str], str]:
    with database.read() as session:
        found = mapping.view(session, SYSTEM, **arguments)  # type: ignore[arg-type]
    return {(rule.source, rule.pattern): rule.target.name for rule in found.rules}


class TestPut:
    def test_the_same_pattern_again_replaces_the_rule(
        self, database: Database, add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, "one")
        add_rule("exact", URN, "two")
        assert _rules(database) == {("portal", URN): "two"}

    def test_tags_are_kept_as_urns_and_prefixes_without_their_star(
        self, database: Database, add_rule: AddRule
    ) -> None:
        add_rule("tag", "layer/source", "f")
        add_rule("prefix", "AwsDataCatalog.*", "f")
        assert set(_rules(database)) == {("portal", TAG), ("portal", "AwsDataCatalog.")}

    @pytest.mark.parametrize(
        ("kind", "pattern", "target", "error"),
        [
            ("exact", "earnings", "f", InvalidInput),
            ("prefix", "", "f", InvalidInput),
            ("prefix", "urn:li:corpuser:", "f", InvalidInput),
            ("tag", "", "f", InvalidInput),
            ("regex", "x", "f", InvalidInput),
            ("exact", URN, "", BadTarget),
            ("exact", URN, "no such name!", BadTarget),
            ("exact", URN, "arn:aws:states:us-east-1:123456789012:execution:m:x", BadTarget),
            ("exact", URN, "arn:aws:s3:::bucket", BadTarget),
        ],
    )
    def test_what_can_never_mean_anything_is_refused(
        self, add_rule: AddRule, kind: str, pattern: str, target: str, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            add_rule(kind, pattern, target)

    def test_an_old_page_is_told(self, database: Database, add_rule: AddRule) -> None:
        add_rule("exact", URN, "one")
        with database.write() as session, pytest.raises(Conflict, match="system"):
            mapping.put(session, SYSTEM, kind="exact", pattern=OTHER, target="x", revision=0)

    def test_two_environments_do_not_see_each_other(
        self, database: Database, add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, "dev-lambda")
        with database.write() as session:
            environments.add(session, SYSTEM, name="prod")
            mapping.put(
                session, SYSTEM, kind="exact", pattern=URN, target="prod-lambda", environment="prod"
            )
        assert _rules(database, environment="prod") == {("portal", URN): "prod-lambda"}
        assert _rules(database, environment="dev") == {("portal", URN): "dev-lambda"}

    def test_a_rule_is_moved_and_removed(self, database: Database, add_rule: AddRule) -> None:
        add_rule("exact", URN, "f")
        with database.read() as session:
            rule = mapping.view(session, SYSTEM).rules[0]
        with database.write() as session:
            mapping.put(session, SYSTEM, kind="exact", pattern=OTHER, target="g", rule_id=rule.id)
        assert _rules(database) == {("portal", OTHER): "g"}
        with database.write() as session:
            mapping.remove(session, SYSTEM, rule_id=rule.id)
        with database.write() as session, pytest.raises(RuleNotFound):
            mapping.remove(session, SYSTEM, rule_id=rule.id)

    @pytest.mark.parametrize("role", ["viewer", "steward", "operator"])
    def test_only_admins_change_it(
        self, database: Database, environment: str, actors: SimpleNamespace, role: str
    ) -> None:
        actor = getattr(actors, role)
        with database.write() as session:
            with pytest.raises(NotPermitted):
                mapping.put(session, actor, kind="default", pattern="", target="f")
            with pytest.raises(NotPermitted):
                mapping.import_text(session, actor, text="{}", replace_all=True)
            if role != "operator":
                with pytest.raises(NotPermitted):
                    mapping.view(session, actor)


class TestImportAndExport:
    @pytest.mark.parametrize("format", ["json", "yaml"])
    def test_what_is_exported_can_be_imported(
        self, database: Database, add_rule: AddRule, format: str
    ) -> None:
        add_rule("exact", URN, "f:prod")
        add_rule("tag", "layer/source", "g")
        add_rule(
            "prefix", "AwsDataCatalog.", "arn:aws:states:eu-west-1:123456789012:stateMachine:m"
        )
        add_rule("default", "", "fallback")
        before = _rules(database)
        with database.read() as session:
            text = mapping.export_text(session, SYSTEM, format=format)  # type: ignore[arg-type]
        with database.write() as session:
            mapping.import_text(session, SYSTEM, text="{}", replace_all=True)
        assert _rules(database) == {}
        with database.write() as session:
            change = mapping.import_text(session, SYSTEM, text=text, replace_all=False)
        assert (change.added, _rules(database)) == (4, before)

    def test_the_seeds_flat_form(self, database: Database, environment: str) -> None:
        text = json.dumps({URN: "f", TAG: "g", "AwsDataCatalog.*": "h", "default": "i"})
        with database.write() as session:
            mapping.import_text(session, SYSTEM, text=text, replace_all=False)
        with database.read() as session:
            kinds = {r.kind: r.target.name for r in mapping.view(session, SYSTEM).rules}
        assert kinds == {"exact": "f", "tag": "g", "prefix": "h", "default": "i"}

    def test_counts_say_what_happened(self, database: Database, add_rule: AddRule) -> None:
        add_rule("exact", URN, "same")
        add_rule("exact", OTHER, "old")
        add_rule("tag", "layer/source", "gone")
        text = json.dumps({URN: "same", OTHER: "new", "default": "added"})
        with database.write() as session:
            change = mapping.import_text(session, SYSTEM, text=text, replace_all=True)
        assert (change.added, change.changed, change.removed, change.unchanged) == (1, 1, 1, 1)

    def test_one_wrong_entry_changes_nothing(self, database: Database, add_rule: AddRule) -> None:
        add_rule("exact", URN, "f")
        text = json.dumps({OTHER: "g", "default": "not a name"})
        with pytest.raises(InvalidInput, match="not a name"), database.write() as session:
            mapping.import_text(session, SYSTEM, text=text, replace_all=True)
        assert _rules(database) == {("portal", URN): "f"}

    def test_the_example_file_is_a_mapping(self, database: Database, environment: str) -> None:
        from pathlib import Path

        text = Path("data/ingestion_mapping.example.yaml").read_text()
        with database.write() as session:
            assert mapping.import_text(session, SYSTEM, text=text, replace_all=False).added == 5


class TestUselessRules:
    def test_shadowed_and_dead_rules_are_pointed_out(
        self, database: Database, add_rule: AddRule, setenv: Callable[..., None]
    ) -> None:
        add_rule("exact", URN, "f")
        add_rule("tag", "layer/source", "g")
        add_rule("default", "", "h")
        setenv(
            DATAHUB_INGESTION_LAMBDA_MAPPING=json.dumps({URN: "x", OTHER: "y"}),
            DATAHUB_INGESTION_LAMBDA_DEFAULT="z",
        )
        with database.read() as session:
            found = mapping.view(session, SYSTEM)
        remarks = {(rule.source, rule.pattern): rule.remark for rule in found.rules}
        assert remarks[("env", URN)].startswith("Shadowed: the portal's mapping")
        assert remarks[("env", "")].startswith("Shadowed")
        assert remarks[("portal", TAG)].startswith("Dead")
        assert remarks[("portal", URN)] == remarks[("env", OTHER)] == ""

    def test_the_prefix_of_a_name_that_is_the_middle_of_a_urn_is_pointed_out(
        self, database: Database, add_rule: AddRule
    ) -> None:
        whole = "urn:li:dataset:(urn:li:dataPlatform:postgres,"
        for pattern in ("postgres,", whole, "AwsDataCatalog.financial_data."):
            add_rule("prefix", pattern, "f")
        with database.read() as session:
            found = mapping.view(session, SYSTEM)
        remarks = {rule.pattern: rule.remark for rule in found.rules}
        assert remarks["postgres,"].startswith("Looks dead")
        assert remarks["postgres,"].endswith(f"begin with {whole}")
        assert remarks[whole] == remarks["AwsDataCatalog.financial_data."] == ""

    def test_targets_that_do_not_exist_are_marked_on_their_rules(
        self, database: Database, add_rule: AddRule, aws: AwsStandIn, actors: SimpleNamespace
    ) -> None:
        aws.add_function("there")
        add_rule("exact", URN, "there")
        add_rule("exact", OTHER, "gone")
        counts = checks.check_targets(database, actors.admin)
        assert counts == {"checked": 2, "dead": 1, "targets": 2}
        with database.read() as session:
            problems = {r.target.name: r.problem for r in mapping.view(session, SYSTEM).rules}
        assert problems["there"] == ""
        assert "gone does not exist" in problems["gone"]
        assert aws.starts() == []


def test_the_connection_test_of_aws_checks_what_is_mapped(
    database: Database, add_rule: AddRule, aws: AwsStandIn, actors: SimpleNamespace
) -> None:
    aws.add_function("there")
    add_rule("exact", URN, "there")
    assert testing.run(database, SYSTEM, environment="dev", kind="aws").ok
    add_rule("exact", OTHER, "gone")
    found = testing.run(database, SYSTEM, environment="dev", kind="aws")
    assert not found.ok
    assert "gone does not exist" in found.cause
    assert aws.starts() == []
    with database.read() as session:
        for role, named in (("viewer", False), ("steward", False), ("operator", True)):
            actor = getattr(actors, role)
            shown = repr(testing.latest(session, actor, environment="dev"))
            shown += repr(testing.history(session, actor, environment="dev", kind="aws"))
            shown += repr(health.overview(session, actor))
            assert ("gone does not exist" in shown) is named
            assert ("us-east-1" in shown) is named


def steps(session: Session, work: Callable[[], object]) -> int:
    """Calls in Python and instructions of SQLite's machine that the work takes."""
    counted = count()
    sqlite = session.connection().connection.driver_connection
    assert sqlite is not None
    sqlite.set_progress_handler(lambda: next(counted) and None, 1)
    sys.setprofile(lambda *_: next(counted) and None)
    try:
        work()
    finally:
        sys.setprofile(None)
        sqlite.set_progress_handler(None, 1)
    return next(counted)


def test_ten_thousand_rules_are_looked_up_and_not_walked(
    database: Database, environment: str
) -> None:
    """Ten times the rules must not be ten times the work: steps of Python and of SQLite."""
    figures = []
    urn = "urn:li:dataset:(urn:li:dataPlatform:athena,db.schema_7.t,PROD)"
    for rules in (1_000, 10_000):
        document = {f"db.schema_{n}.*": f"f{n}" for n in range(rules - 1)} | {"default": "z"}
        with database.write() as session:
            mapping.import_text(session, SYSTEM, text=json.dumps(document), replace_all=True)
        with database.read() as session:

            def ask(session: Session = session) -> Candidate | None:
                return resolve.without_asking(run_context.load(session, None), urn)

            answer = ask()
            assert answer is not None
            assert answer.target.name == "f7"
            figures.append(steps(session, ask))
    assert figures[1] < 4 * figures[0]
