"""What a resolution says beside its answer, and what a run asks."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.ingestion import mapping, resolve, run_context
from backend.ingestion.catalog import Catalog
from backend.ingestion.errors import MappingBroken, NoMapping, UnknownDataset
from backend.ingestion.ruleset import Rule
from backend.ingestion.schemas import Candidate, Resolution
from backend.ingestion.targets import BadTarget, Target
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import ARN_PROPERTY, JOB, OTHER, URN, AddRule
from tests.backend.ingestion.test_resolve import MACHINE

NO_PROPERTY = "The job's property was not asked: DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN is not set."
ONLY_A_JOB = "Only a job was named, so no rule about datasets was asked."
UNCHECKED = "Existence is unchecked: this environment has no DataHub connection."


@pytest.fixture
def ask(database: Database, environment: str, actors: SimpleNamespace) -> Callable[..., Resolution]:
    def go(urn: str = URN, job_urn: str | None = None) -> Resolution:
        return resolve.resolve(database, actors.admin, dataset_urn=urn, job_urn=job_urn)

    return go


class TestWhatItSays:
    def test_what_could_not_be_asked_without_datahub(
        self,
        ask: Callable[..., Resolution],
        add_rule: AddRule,
        setenv: Callable[..., None],
        environment: str,
    ) -> None:
        add_rule("tag", "layer/source", "by-tag")
        found = ask(job_urn=JOB)
        assert found.notes == (
            UNCHECKED,
            NO_PROPERTY,
            "Tag rules were not asked: this environment has no DataHub connection.",
        )
        assert (found.dataset_urn, found.job_urn, found.environment) == (URN, JOB, environment)
        setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
        found = ask("", job_urn=JOB)
        assert found.notes == (
            UNCHECKED,
            "The job's property was not asked: there is no DataHub connection.",
            ONLY_A_JOB,
        )
        assert (found.dataset_urn, found.job_urn, found.answer) == ("", JOB, None)

    @pytest.mark.parametrize("known", [True, False])
    def test_of_a_job_alone_it_is_the_job_that_exists(
        self,
        ask: Callable[..., Resolution],
        setenv: Callable[..., None],
        datahub: StandIn,
        known: bool,
    ) -> None:
        setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
        if known:
            datahub.seed_data_job(JOB, structured={ARN_PROPERTY: [" "]})
        found = ask("", job_urn=JOB)
        missing = () if known else ("DataHub does not know it; a run would be refused.",)
        assert found.existence == ("exists" if known else "missing")
        assert found.notes == (*missing, f"The job has no value for {ARN_PROPERTY}.", ONLY_A_JOB)

    def test_a_dataset_that_exists_needs_no_word(
        self, ask: Callable[..., Resolution], datahub: StandIn
    ) -> None:
        assert ask().notes == ()

    def test_where_each_answer_is_kept(
        self,
        ask: Callable[..., Resolution],
        database: Database,
        setenv: Callable[..., None],
        datahub: StandIn,
    ) -> None:
        setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
        datahub.seed_data_job(JOB, structured={ARN_PROPERTY: [MACHINE]})
        with database.write() as session:
            mapping.put(session, SYSTEM, kind="exact", pattern=URN, target="f", invocation="sync")
        found = ask(job_urn=JOB)
        answers = [found.answer, *found.others]
        assert [
            (a.rule, a.source, a.pattern, a.target.name, a.invocation) for a in answers if a
        ] == [
            ("job_property", "job", ARN_PROPERTY, MACHINE, "async"),
            ("portal", "portal", URN, "f", "sync"),
        ]

    def test_the_environment_that_was_named_is_asked(
        self, database: Database, add_rule: AddRule, datahub: StandIn, actors: SimpleNamespace
    ) -> None:
        """The other one has no DataHub."""
        with database.write() as session:
            environments.add(session, SYSTEM, name="other")
        found = resolve.resolve(database, actors.admin, dataset_urn=URN, environment="other")
        assert (found.environment, found.existence) == ("other", "unchecked")

    @pytest.mark.parametrize("job_urn", [None, "", "  "])
    def test_neither_a_dataset_nor_a_job(
        self, ask: Callable[..., Resolution], job_urn: str | None
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            ask(" ", job_urn)
        assert refused.value.message == (
            "Name the dataset (datasetUrn, --dataset-urn) or its data job (jobUrn, --job-urn)."
        )

    def test_a_dataset_beside_a_job_is_checked_too(self, ask: Callable[..., Resolution]) -> None:
        with pytest.raises(InvalidInput, match="earnings"):
            ask("earnings", JOB)
        with pytest.raises(InvalidInput, match="no-job"):
            ask(URN, "no-job")
        with pytest.raises(InvalidInput, match="earnings"):
            resolve.checked_urns("earnings", JOB)

    @pytest.mark.parametrize(
        ("where", "said"),
        [
            ("env", "DATAHUB_INGESTION_LAMBDA_MAPPING cannot be used here: "),
            (
                "file",
                "The mapping file (DATAHUB_INGESTION_LAMBDA_MAPPING_FILE) cannot be used here: ",
            ),
        ],
    )
    def test_a_broken_rule_is_found_by_where_it_stands(
        self,
        ask: Callable[..., Resolution],
        setenv: Callable[..., None],
        tmp_path: Path,
        where: str,
        said: str,
    ) -> None:
        text = json.dumps({URN: "a b", OTHER: "f"})
        file = tmp_path / "mapping.yaml"
        file.write_text(text)
        setenv(
            **{"DATAHUB_INGESTION_LAMBDA_MAPPING": text}
            if where == "env"
            else {"DATAHUB_INGESTION_LAMBDA_MAPPING_FILE": str(file)}
        )
        with pytest.raises(MappingBroken) as refused:
            ask()
        assert refused.value.message.startswith(said)

    def test_one_of_the_portals_own(self) -> None:
        rule = Rule("exact", URN, Target("lambda", "f"), "portal", problem="it is gone")
        with pytest.raises(MappingBroken, match=r"^The mapping cannot be used here: it is gone$"):
            resolve._candidate("portal", rule)

    def test_a_jobs_property_that_is_no_target_is_said_with_its_place(
        self, ask: Callable[..., Resolution], setenv: Callable[..., None], datahub: StandIn
    ) -> None:
        setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
        datahub.seed_data_job(JOB, structured={ARN_PROPERTY: ["see the wiki"]})
        with pytest.raises(BadTarget) as refused:
            ask(job_urn=JOB)
        assert f"(the value of {ARN_PROPERTY} on the job)" in refused.value.message


class TestFirst:
    """What a run asks: the answer alone, and nothing of later rules."""

    def _first(
        self, database: Database, dataset_urn: str = URN, job_urn: str | None = None
    ) -> tuple[Candidate, Resolution]:
        context = database.ask(run_context.load, None)
        return resolve.first(context, Catalog(context.datahub), dataset_urn, job_urn)

    def test_the_answer_with_what_was_noted_on_the_way(
        self, database: Database, add_rule: AddRule, environment: str
    ) -> None:
        add_rule("exact", URN, "f")
        add_rule("default", "", "fallback")
        answer, found = self._first(database, job_urn=JOB)
        assert answer.target.name == "f"
        assert found == Resolution(URN, JOB, environment, answer, (), "unchecked", (NO_PROPERTY,))

    @pytest.mark.parametrize(
        ("dataset_urn", "job_urn", "unknown"),
        [
            (OTHER.replace("trades", "nobody"), None, OTHER.replace("trades", "nobody")),
            (URN, JOB, JOB),
            ("", JOB, JOB),
        ],
        ids=["dataset", "its job", "job alone"],
    )
    def test_what_datahub_does_not_know_is_refused_by_name(
        self,
        database: Database,
        add_rule: AddRule,
        datahub: StandIn,
        dataset_urn: str,
        job_urn: str | None,
        unknown: str,
    ) -> None:
        add_rule("default", "", "fallback")
        with pytest.raises(UnknownDataset) as refused:
            self._first(database, dataset_urn, job_urn)
        assert refused.value.urn == unknown

    @pytest.mark.parametrize(
        ("dataset_urn", "job_urn", "notes"),
        [(URN, None, []), ("", JOB, [NO_PROPERTY, ONLY_A_JOB])],
        ids=["dataset", "job alone"],
    )
    def test_no_rule_is_said_with_what_was_not_asked(
        self,
        database: Database,
        environment: str,
        dataset_urn: str,
        job_urn: str | None,
        notes: list[str],
    ) -> None:
        with pytest.raises(NoMapping) as refused:
            self._first(database, dataset_urn, job_urn)
        assert refused.value.message == NoMapping(dataset_urn or job_urn or "", notes).message

    def test_a_tag_answers_before_a_prefix(
        self, database: Database, add_rule: AddRule, datahub: StandIn
    ) -> None:
        datahub.seed_tag("urn:li:tag:layer/source")
        datahub.seed_dataset(URN, fields={"id": "int"}, tags=["urn:li:tag:layer/source"])
        add_rule("tag", "layer/source", "by-tag")
        add_rule("prefix", "AwsDataCatalog", "by-prefix")
        answer, _ = self._first(database)
        assert answer.target.name == "by-tag"


class TestWithoutAsking:
    """What a list of datasets shows without asking DataHub for each."""

    def _shown(self, database: Database) -> str | None:
        context = database.ask(run_context.load, None)
        found = resolve.without_asking(context, URN)
        return found.target.name if found else None

    @pytest.mark.parametrize("kind", ["exact", "prefix", "default"])
    @pytest.mark.parametrize("tagged", [True, False])
    def test_nothing_where_a_tag_might_answer_before_it(
        self, database: Database, add_rule: AddRule, kind: str, tagged: bool
    ) -> None:
        assert self._shown(database) is None
        pattern = {"exact": URN, "prefix": "AwsDataCatalog", "default": ""}[kind]
        add_rule(kind, pattern, "f")
        if tagged:
            add_rule("tag", "layer/source", "by-tag")
        assert self._shown(database) == (None if tagged and kind != "exact" else "f")
