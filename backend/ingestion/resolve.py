"""Which target a dataset has, which rule says so, and which others would have (DESIGN 6.5).

The order: the job's structured property, the mapping kept in the portal, the one in the
environment, the mapping file, tags, the longest prefix, the default. Tag, prefix and default rules
of the three sources meet in their own steps; there the portal's come before the environment's,
and those before the file's.
"""

from collections.abc import Iterator

from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import InvalidInput, PortalError
from backend.ingestion import run_context, targets
from backend.ingestion.catalog import Catalog
from backend.ingestion.errors import MappingBroken, NoMapping, UnknownDataset
from backend.ingestion.ruleset import Rule, merged_prefixes
from backend.ingestion.run_context import RunContext
from backend.ingestion.schemas import Candidate, Resolution, RuleName
from backend.ingestion.static_mapping import ENV, FILE
from backend.ingestion.targets import BadTarget
from backend.integrations.datahub import urns


def resolve(
    database: Database,
    actor: Actor,
    *,
    dataset_urn: str = "",
    job_urn: str | None = None,
    environment: str | None = None,
) -> Resolution:
    """The answer for a dataset and everything else that would have answered.

    answer is None when no rule does. Raises InvalidInput for a malformed URN, MappingBroken when a
    mapping that had to be asked cannot be read, and DataHub's errors.
    """
    access.require(actor, Permission.INGESTION_MAPPING_READ)
    dataset_urn, job_urn = checked_urns(dataset_urn, job_urn)
    context = database.ask(run_context.load, environment)
    return explain(context, Catalog(context.datahub), dataset_urn, job_urn)


def checked_urns(dataset_urn: str, job_urn: str | None) -> tuple[str, str | None]:
    """Both URNs without the blanks around them; the dataset's may be "" beside a job's.

    Raises InvalidInput for a malformed one, and when there is none.
    """
    dataset, job = dataset_urn.strip(), (job_urn or "").strip() or None
    if not dataset and not job:
        raise InvalidInput(
            "Name the dataset (datasetUrn, --dataset-urn) or its data job (jobUrn, --job-urn)."
        )
    if dataset or not job:
        urns.parse_dataset(dataset)
    if job:
        urns.parse_data_job(job)
    return dataset, job


def explain(
    context: RunContext, catalog: Catalog, dataset_urn: str, job_urn: str | None
) -> Resolution:
    """Every rule that answers, in order, with notes on what could not be asked."""
    notes: list[str] = list(context.static.warnings)
    existence = catalog.existence(dataset_urn or job_urn or "")
    if existence == "unchecked":
        notes.append("Existence is unchecked: this environment has no DataHub connection.")
    elif existence == "missing":
        notes.append("DataHub does not know it; a run would be refused.")
    found: list[Candidate] = []
    try:
        for candidate in candidates(context, catalog, dataset_urn, job_urn, notes):
            found.append(candidate)
    except PortalError as exc:
        if not found:
            raise
        notes.append(exc.message)
    return Resolution(
        dataset_urn=dataset_urn,
        job_urn=job_urn,
        environment=context.environment,
        answer=found[0] if found else None,
        others=tuple(found[1:]),
        existence=existence,
        notes=tuple(notes),
    )


def first(
    context: RunContext, catalog: Catalog, dataset_urn: str, job_urn: str | None
) -> tuple[Candidate, Resolution]:
    """The answer for a run: later rules are not asked, unknown URNs are refused.

    Raises UnknownDataset, NoMapping, MappingBroken and DataHub's errors.
    """
    existence = catalog.existence(dataset_urn or job_urn or "")
    if existence == "missing":
        raise UnknownDataset(dataset_urn or job_urn or "")
    if job_urn and catalog.existence(job_urn) == "missing":
        raise UnknownDataset(job_urn)
    notes: list[str] = []
    answer = next(candidates(context, catalog, dataset_urn, job_urn, notes), None)
    if answer is None:
        raise NoMapping(dataset_urn or job_urn or "", notes)
    return answer, Resolution(
        dataset_urn, job_urn, context.environment, answer, (), existence, tuple(notes)
    )


def candidates(
    context: RunContext, catalog: Catalog, dataset_urn: str, job_urn: str | None, notes: list[str]
) -> Iterator[Candidate]:
    """Rules that answer, in order, asked one after the other as the caller wants more.

    A mapping that cannot be read raises MappingBroken at its place in the order.
    """
    if job_urn:
        yield from _job_property(context, catalog, job_urn, notes)
    if not dataset_urn:
        notes.append("Only a job was named, so no rule about datasets was asked.")
        return
    for rules, problem in (
        (context.portal, ""),
        (context.static.env, context.static.env_problem),
        (context.static.file, context.static.file_problem),
    ):
        if problem:
            raise MappingBroken(problem)
        exact = rules.exact.get(dataset_urn)
        if exact is not None:
            # mypy: the sources of exact rules are names of rules
            yield _candidate(rules.source, exact)  # type: ignore[arg-type]
    yield from _by_tag(context, catalog, dataset_urn, notes)
    name = urns.parse_dataset(dataset_urn).name
    for rule in merged_prefixes(context.sources, dataset_urn, name):
        yield _candidate("prefix", rule)
    for rules in context.sources:
        if rules.default is not None:
            yield _candidate("default", rules.default)


def _candidate(name: RuleName, rule: Rule) -> Candidate:
    if rule.problem:
        where = {"env": ENV, "file": f"The mapping file ({FILE})"}.get(rule.source, "The mapping")
        raise MappingBroken(f"{where} cannot be used here: {rule.problem}")
    return Candidate(name, rule.source, rule.pattern, rule.target, rule.invocation)


def _job_property(
    context: RunContext, catalog: Catalog, job_urn: str, notes: list[str]
) -> Iterator[Candidate]:
    if not context.job_property_urn:
        notes.append(
            "The job's property was not asked: DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN is not set."
        )
        return
    values = catalog.job_property(job_urn, context.job_property_urn)
    if values is None:
        notes.append("The job's property was not asked: there is no DataHub connection.")
        return
    values = tuple(value for value in values if value.strip())
    if not values:
        notes.append(f"The job has no value for {context.job_property_urn}.")
        return
    try:
        target = targets.of_job(values[0])
    except BadTarget as exc:
        where = f"(the value of {context.job_property_urn} on the job)"
        raise BadTarget(values[0], f"{where} {exc.why}") from exc
    yield Candidate("job_property", "job", context.job_property_urn, target)


def _by_tag(
    context: RunContext, catalog: Catalog, dataset_urn: str, notes: list[str]
) -> Iterator[Candidate]:
    if not any(rules.tags for rules in context.sources):
        return
    tags = catalog.tags(dataset_urn)
    if tags is None:
        notes.append("Tag rules were not asked: this environment has no DataHub connection.")
        return
    for rules in context.sources:
        for tag in sorted(set(tags)):
            rule = rules.tags.get(tag)
            if rule is not None:
                yield _candidate("tag", rule)


def without_asking(context: RunContext, dataset_urn: str) -> Candidate | None:
    """The answer where it needs nobody outside; None where a tag might answer before it, too.

    Raises MappingBroken.
    """
    answer = next(candidates(context, Catalog(None), dataset_urn, None, []), None)
    tagged = any(rules.tags for rules in context.sources)
    return None if answer and tagged and answer.rule in ("prefix", "default") else answer
