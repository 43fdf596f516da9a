"""Which rule answers, in DESIGN 6.5's order, and what else would have."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.core.database import Database
from backend.core.errors import InvalidInput, NotPermitted, UpstreamError
from backend.ingestion import resolve
from backend.ingestion.errors import MappingBroken
from backend.ingestion.schemas import Resolution
from backend.ingestion.targets import BadTarget
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import ARN_PROPERTY, JOB, OTHER, URN, AddRule

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:nightly"


@pytest.fixture
def ask(database: Database, environment: str, actors: SimpleNamespace) -> Callable[..., Resolution]:
    def go(urn: str = URN, job_urn: str | None = None) -> Resolution:
        return resolve.resolve(database, actors.admin, dataset_urn=urn, job_urn=job_urn)

    return go


def _named(found: Resolution) -> list[tuple[str, str]]:
    answers = [found.answer, *found.others] if found.answer else []
    return [(a.rule, a.target.name) for a in answers if a]


class TestOrder:
    def test_every_rule_in_order_with_what_else_would_have_answered(
        self,
        ask: Callable[..., Resolution],
        add_rule: AddRule,
        setenv: Callable[..., None],
        datahub: StandIn,
        tmp_path: Path,
    ) -> None:
        datahub.seed_tag("urn:li:tag:layer/source")
        datahub.seed_dataset(URN, fields={"id": "int"}, tags=["urn:li:tag:layer/source"])
        datahub.seed_data_job(JOB, structured={ARN_PROPERTY: [MACHINE]})
        file = tmp_path / "mapping.yaml"
        file.write_text(json.dumps({URN: "by-file"}))
        setenv(
            DATAHUB_INGESTION_LAMBDA_MAPPING=json.dumps({URN: "by-env"}),
            DATAHUB_INGESTION_LAMBDA_MAPPING_FILE=str(file),
            DATAHUB_INGESTION_LAMBDA_DEFAULT="by-default-of-env",
            DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY,
        )
        add_rule("exact", URN, "by-portal")
        add_rule("tag", "layer/source", "by-tag")
        add_rule("prefix", "AwsDataCatalog.", "by-short-prefix")
        add_rule("prefix", "AwsDataCatalog.financial_data.", "by-long-prefix")
        add_rule("default", "", "by-default")
        found = ask(job_urn=JOB)
        assert _named(found) == [
            ("job_property", MACHINE),
            ("portal", "by-portal"),
            ("env", "by-env"),
            ("file", "by-file"),
            ("tag", "by-tag"),
            ("prefix", "by-long-prefix"),
            ("prefix", "by-short-prefix"),
            ("default", "by-default"),
            ("default", "by-default-of-env"),
        ]
        assert found.existence == "exists"
        assert found.answer is not None
        assert found.answer.target.kind == "stepfunctions"

    def test_without_datahub_existence_is_said_to_be_unchecked(
        self, ask: Callable[..., Resolution], add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, "earnings-lambda")
        add_rule("tag", "layer/source", "by-tag")
        found = ask(job_urn=JOB)
        assert found.existence == "unchecked"
        assert _named(found) == [("portal", "earnings-lambda")]
        assert any("unchecked" in note for note in found.notes)
        assert any("Tag rules were not asked" in note for note in found.notes)
        assert any("property was not asked" in note for note in found.notes)

    def test_a_prefix_of_the_whole_urn_is_told_from_one_of_the_name(
        self, ask: Callable[..., Resolution], add_rule: AddRule
    ) -> None:
        add_rule("prefix", "urn:li:dataset:(urn:li:dataPlatform:athena,", "all-of-athena")
        add_rule("prefix", "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.fin*", "urn")
        add_rule("prefix", "AwsDataCatalog.fin", "name")
        add_rule("prefix", "AwsDataCatalog", "short")
        assert [name for _rule, name in _named(ask())] == ["urn", "name", "short", "all-of-athena"]

    def test_a_change_of_the_mapping_counts_at_the_next_question(
        self, ask: Callable[..., Resolution], add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, "first")
        assert _named(ask()) == [("portal", "first")]
        add_rule("exact", URN, "second")
        assert _named(ask()) == [("portal", "second")]

    def test_nothing_answers(self, ask: Callable[..., Resolution]) -> None:
        assert ask().answer is None

    def test_an_unknown_dataset_is_said_and_its_rule_still_shown(
        self, ask: Callable[..., Resolution], add_rule: AddRule, datahub: StandIn
    ) -> None:
        add_rule("default", "", "fallback")
        found = ask("urn:li:dataset:(urn:li:dataPlatform:athena,nobody.knows,PROD)")
        assert (found.existence, _named(found)) == ("missing", [("default", "fallback")])

    def test_a_job_property_that_is_no_target_is_said(
        self, ask: Callable[..., Resolution], setenv: Callable[..., None], datahub: StandIn
    ) -> None:
        datahub.seed_data_job(JOB, structured={ARN_PROPERTY: ["see the wiki"]})
        setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
        with pytest.raises(BadTarget, match="see the wiki"):
            ask(job_urn=JOB)

    def test_datahub_down_is_an_error_and_not_a_later_rule(
        self, ask: Callable[..., Resolution], add_rule: AddRule, datahub: StandIn
    ) -> None:
        add_rule("default", "", "fallback")
        with datahub.faults.inject(status=500), pytest.raises(UpstreamError, match="DataHub"):
            ask()


class TestFileAndEnvironment:
    def test_both_take_tags_prefixes_and_a_default(
        self,
        ask: Callable[..., Resolution],
        setenv: Callable[..., None],
        datahub: StandIn,
        tmp_path: Path,
    ) -> None:
        datahub.seed_tag("urn:li:tag:source/market")
        datahub.seed_dataset(URN, fields={"id": "int"}, tags=["urn:li:tag:source/market"])
        file = tmp_path / "mapping.yml"
        file.write_text(
            "exact: {}\ntags:\n  source/market: file-tag\n"
            "prefixes:\n  AwsDataCatalog.financial_data: file-prefix\ndefault: file-default\n"
        )
        setenv(
            DATAHUB_INGESTION_LAMBDA_MAPPING=json.dumps(
                {"AwsDataCatalog.*": "env-prefix", "urn:li:tag:source/market": "env-tag"}
            ),
            DATAHUB_INGESTION_LAMBDA_MAPPING_FILE=str(file),
        )
        assert _named(ask()) == [
            ("tag", "env-tag"),
            ("tag", "file-tag"),
            ("prefix", "file-prefix"),
            ("prefix", "env-prefix"),
            ("default", "file-default"),
        ]

    def test_a_changed_file_is_read_again(
        self, ask: Callable[..., Resolution], setenv: Callable[..., None], tmp_path: Path
    ) -> None:
        file = tmp_path / "mapping.json"
        file.write_text(json.dumps({URN: "one"}))
        setenv(DATAHUB_INGESTION_LAMBDA_MAPPING_FILE=str(file))
        assert _named(ask()) == [("file", "one")]
        file.write_text(json.dumps({URN: "another"}))
        assert _named(ask()) == [("file", "another")]

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("{not json", "not JSON"),
            ('["a"]', "a mapping is an object"),
            (json.dumps({"urn:li:corpuser:ann": "f"}), "urn:li:corpuser:ann"),
            (json.dumps({URN: "no such name!"}), "no such name!"),
            (json.dumps({URN: 7}), "is not a name"),
            ('{"default": "a", "default": "b"}', "twice"),
        ],
    )
    def test_a_broken_variable_is_said_and_never_skipped(
        self,
        ask: Callable[..., Resolution],
        add_rule: AddRule,
        setenv: Callable[..., None],
        value: str,
        said: str,
    ) -> None:
        setenv(DATAHUB_INGESTION_LAMBDA_MAPPING=value, DATAHUB_INGESTION_LAMBDA_DEFAULT="fallback")
        with pytest.raises(MappingBroken, match="DATAHUB_INGESTION_LAMBDA_MAPPING") as told:
            ask()
        assert said in told.value.message
        add_rule("exact", URN, "by-portal")
        found = ask()
        assert _named(found) == [("portal", "by-portal")]
        assert any(said in note for note in found.notes)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (None, "cannot be read: no such file"),
            ("a: [", "not YAML"),
            ("? [a]\n: b\n", "not"),
            (b"\xff\xfe\x00", "not UTF-8"),
            ("a: &x f\nb: *x\n", "anchors"),
            (f"'{URN}': a\n'{URN}': b\n", "twice"),
        ],
    )
    def test_a_broken_file_is_said_and_never_skipped(
        self,
        ask: Callable[..., Resolution],
        setenv: Callable[..., None],
        tmp_path: Path,
        content: Any,
        said: str,
    ) -> None:
        file = tmp_path / "mapping.yaml"
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        setenv(
            DATAHUB_INGESTION_LAMBDA_MAPPING_FILE=str(file),
            DATAHUB_INGESTION_LAMBDA_DEFAULT="fallback",
        )
        with pytest.raises(MappingBroken, match="mapping file") as told:
            ask()
        assert said in told.value.message


class TestRefusals:
    @pytest.mark.parametrize(
        "urn",
        [
            "", "earnings", "urn:li:dataset:(athena,x,PROD)", "urn:li:tag:x",
            "urn:li:dataset:(urn:li:dataPlatform:athena,x,PROD", URN + "\nurn:li",
        ],
    )  # fmt: skip
    def test_a_malformed_urn(self, ask: Callable[..., Resolution], urn: str) -> None:
        with pytest.raises(InvalidInput):
            ask(urn)

    def test_blanks_around_a_urn_are_nobodys_meaning(
        self, ask: Callable[..., Resolution], add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, "f")
        assert _named(ask(f"  {URN}\n")) == [("portal", "f")]

    @pytest.mark.parametrize("name", ["my table.v 1", "clienté.données", "数据.表"])
    def test_blanks_and_unicode_inside_a_urn_are_kept(
        self, ask: Callable[..., Resolution], add_rule: AddRule, name: str
    ) -> None:
        urn = f"urn:li:dataset:(urn:li:dataPlatform:athena,{name},PROD)"
        add_rule("exact", urn, "f")
        assert _named(ask(urn)) == [("portal", "f")]

    @pytest.mark.parametrize("role", ["viewer", "steward"])
    def test_roles_that_may_not_read_the_mapping(
        self, database: Database, environment: str, actors: SimpleNamespace, role: str
    ) -> None:
        with pytest.raises(NotPermitted):
            resolve.resolve(database, getattr(actors, role), dataset_urn=OTHER)


class TestBothMappings:
    def test_they_are_merged_with_a_warning_and_blanks_fall_to_the_next(
        self,
        ask: Callable[..., Resolution],
        setenv: Callable[..., None],
        tmp_path: Path,
    ) -> None:
        file = tmp_path / "mapping.json"
        file.write_text(json.dumps({URN: "by-file", OTHER: "by-file"}))
        setenv(
            DATAHUB_INGESTION_LAMBDA_MAPPING=json.dumps({URN: " ", OTHER: "by-env"}),
            DATAHUB_INGESTION_LAMBDA_MAPPING_FILE=str(file),
        )
        blank, both = ask(URN), ask(OTHER)
        assert _named(blank) == [("file", "by-file")]
        assert _named(both) == [("env", "by-env"), ("file", "by-file")]
        assert "are both set and are merged" in both.notes[0]
        setenv(DATAHUB_INGESTION_LAMBDA_MAPPING="")
        assert "merged" not in " ".join(ask(URN).notes)


class TestOneEntryThatIsNoTarget:
    def test_it_refuses_only_those_it_answers_for(
        self, ask: Callable[..., Resolution], setenv: Callable[..., None], tmp_path: Path
    ) -> None:
        file = tmp_path / "mapping.yaml"
        file.write_text(json.dumps({URN: "a b", OTHER: "by-file"}))
        setenv(DATAHUB_INGESTION_LAMBDA_MAPPING_FILE=str(file))
        assert _named(ask(OTHER)) == [("file", "by-file")]
        with pytest.raises(MappingBroken, match="'a b' is neither a Lambda function nor"):
            ask(URN)


@pytest.mark.parametrize("value", ["not-an-arn", "123456789012:function:f"])
def test_a_jobs_property_that_is_no_arn_is_not_a_functions_name(
    ask: Callable[..., Resolution], setenv: Callable[..., None], datahub: StandIn, value: str
) -> None:
    setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
    datahub.seed_data_job(JOB, structured={ARN_PROPERTY: [value]})
    with pytest.raises(BadTarget, match="is no ARN"):
        ask(URN, JOB)
