"""The "Run ingestion" link on DataHub's dataset pages: put and removed, other links never touched.

A link is ours when it has our label and leads to this portal's ingestion page for that very
dataset and environment, whatever host the portal had when it was put there. Links of earlier
versions name no environment; they are ours, too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal
from urllib.parse import quote

from backend.core import access, audit
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotFound, PortalError
from backend.core.settings import get_settings
from backend.ingestion import resolve, run_context
from backend.ingestion.catalog import Catalog
from backend.ingestion.errors import MappingBroken
from backend.ingestion.run_context import RunContext
from backend.integrations.datahub import urns
from backend.integrations.datahub.schemas import Dataset

LABEL = "Run ingestion"
PAGE = 100
#: Datasets that one query reads.
BATCH = 50
#: DataHub's search shows no more than this; exact rules and tags are found beyond it.
WINDOW = 10_000

Mode = Literal["put", "remove"]
#: told after each dataset: how many are done, how many there are (None: not known yet), its name
Progress = Callable[[int, int | None, str], None]


@dataclass
class LinkReport:
    """How many datasets got or lost the link; failures name the dataset and why."""

    mode: Mode
    changed: int = 0
    unchanged: int = 0
    without_target: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        return {
            "mode": self.mode,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "withoutTarget": self.without_target,
            "failed": [{"datasetUrn": urn, "reason": why} for urn, why in self.failed[:50]],
            "failedTotal": len(self.failed),
            "notes": self.notes,
        }


def link_url(dataset_urn: str, environment: str) -> str:
    """The address of this portal's ingestion page for a dataset of an environment.

    Also the default environment is named: another one may be the default tomorrow.
    """
    return f"{get_settings().public_url}{_address(dataset_urn, environment)}"


def _address(dataset_urn: str, environment: str = "") -> str:
    address = f"/ingestion?dataset_urn={quote(dataset_urn, safe='')}"
    return f"{address}&environment={quote(environment, safe='')}" if environment else address


def apply(
    database: Database,
    actor: Actor,
    *,
    mode: Mode,
    environment: str | None = None,
    dataset_urns: Sequence[str] = (),
    progress: Progress | None = None,
) -> LinkReport:
    """Put the link on every dataset that has a target, or take it off all of them.

    dataset_urns: only these, else all that DataHub shows. Datasets that fail are reported and the
    others go on. Raises NotFound without a DataHub connection; progress may raise to stop.
    """
    access.require(actor, Permission.INGESTION_MAPPING_WRITE)
    for urn in dataset_urns:
        urns.parse_dataset(urn)
    context = database.ask(run_context.load, environment)
    catalog = Catalog(context.datahub)
    catalog.client()
    report = LinkReport(mode)
    _record(database, actor, context, report, "intent", list(dataset_urns))
    try:
        wanted: Iterator[tuple[str, int | None]] = (
            ((urn, len(dataset_urns)) for urn in dataset_urns)
            if dataset_urns
            else _all(context, catalog, report)
        )
        done = 0
        while batch := list(islice(wanted, BATCH)):
            known = _read(catalog, [urn for urn, _total in batch])
            for urn, total in batch:
                done += 1
                _one(context, catalog, urn, known.get(urn), report)
                if progress is not None:
                    progress(done, total, urn)
    finally:
        _record(database, actor, context, report, "outcome", list(dataset_urns))
    return report


def _read(catalog: Catalog, dataset_urns: list[str]) -> dict[str, Dataset]:
    """The datasets that could be read together; {} when that failed: each is asked for alone."""
    try:
        known = catalog.client().datasets_with_links(dataset_urns)
    except PortalError:
        known = {}
    catalog.know(known.values())
    return known


def _one(
    context: RunContext, catalog: Catalog, urn: str, known: Dataset | None, report: LinkReport
) -> None:
    try:
        dataset = known or catalog.client().dataset(urn)
        if report.mode == "put" and not _has_target(context, catalog, urn):
            report.without_target += 1
            return
        change = _put if report.mode == "put" else _remove
        changed = change(catalog, dataset, context.environment)
    except NotFound:
        report.failed.append((urn, "DataHub does not know this dataset."))
    except MappingBroken:
        # Its sentence quotes the mapping, and a job's log is read by people who may not see that.
        report.failed.append((urn, "The mapping cannot be read; the Mapping page says why."))
    except PortalError as exc:
        report.failed.append((urn, exc.message))
    else:
        report.changed += changed
        report.unchanged += not changed


def _has_target(context: RunContext, catalog: Catalog, urn: str) -> bool:
    return next(resolve.candidates(context, catalog, urn, None, []), None) is not None


def _put(catalog: Catalog, dataset: Dataset, environment: str) -> bool:
    url = link_url(dataset.urn, environment)
    mine = _ours(dataset, environment)
    if mine == [url]:
        return False
    if url not in mine:
        catalog.client().add_link(dataset.urn, url, LABEL)
    for old in mine:
        if old != url:
            catalog.client().remove_link(dataset.urn, old, LABEL)
    return True


def _remove(catalog: Catalog, dataset: Dataset, environment: str) -> bool:
    mine = _ours(dataset, environment)
    for url in mine:
        catalog.client().remove_link(dataset.urn, url, LABEL)
    return bool(mine)


def _ours(dataset: Dataset, environment: str) -> list[str]:
    endings = (_address(dataset.urn), _address(dataset.urn, environment))
    return [
        link.url for link in dataset.links if link.label == LABEL and link.url.endswith(endings)
    ]


def _all(
    context: RunContext, catalog: Catalog, report: LinkReport
) -> Iterator[tuple[str, int | None]]:
    """Every dataset that search shows, then those of exact and tag rules that it did not."""
    client, seen = catalog.client(), set[str]()
    start, total = 0, None
    while start < WINDOW:
        page = client.search_datasets("*", start=start, count=min(PAGE, WINDOW - start))
        total = page.total
        for hit in page.items:
            if hit.urn not in seen:
                seen.add(hit.urn)
                yield hit.urn, min(total, WINDOW)
        start += PAGE
        if not page.items or start >= total:
            break
    if total is not None and total > WINDOW:
        report.notes.append(
            f"DataHub has {total:,} datasets and shows the first {WINDOW:,} to a search. Beyond "
            "these only datasets of exact and tag rules were visited."
        )
        for urn in _named(context, catalog):
            if urn not in seen:
                seen.add(urn)
                yield urn, None


def _named(context: RunContext, catalog: Catalog) -> Iterator[str]:
    for rules in context.sources:
        yield from rules.exact
        for tag in rules.tags:
            yield from catalog.client().datasets_with_tag(tag, limit=WINDOW)


def check_mode(text: str) -> Mode:
    """`put` or `remove`; raises InvalidInput."""
    if text == "put" or text == "remove":
        # mypy: narrowed by the line above, which mypy does not follow
        return text  # type: ignore[return-value]
    raise InvalidInput(f"{text!r} is neither put nor remove.")


def _record(
    database: Database,
    actor: Actor,
    context: RunContext,
    report: LinkReport,
    phase: audit.Phase,
    dataset_urns: list[str],
) -> None:
    outcome = ""
    if phase == "outcome":
        outcome = "failed" if report.failed and not report.changed else "succeeded"
    database.change(
        audit.record,
        actor,
        f"ingestion:links:{report.mode}",
        subject=f"DataHub links of {context.environment}",
        phase=phase,
        outcome=outcome,
        details={
            "datasets": dataset_urns[:20] or "all",
            "changed": report.changed,
            "failed": len(report.failed),
        },
    )
