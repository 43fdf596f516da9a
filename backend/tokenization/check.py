"""Compare what DataHub says about tokenization with what the tables hold, dataset by dataset."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from backend.connections import resolve
from backend.core.access import Permission, require
from backend.core.database import ReadSession
from backend.core.errors import PortalError
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import Dataset
from backend.jobs.registry import JobContext
from backend.models import TokenizationRun
from backend.tokenization import detection, patterns, repository, sources, tags, write_back
from backend.tokenization.engines import engine_for
from backend.tokenization.engines.base import Engine, NoSuchColumn
from backend.tokenization.schemas import Method, RunView

#: The result is kept on the job's row, so it is bounded.
MAX_FINDINGS = 200
MAX_DATASETS = 1_000

_MORE_TAGGED = (
    f"DataHub knows more than {MAX_DATASETS:,} datasets tagged done; of those that no run of this "
    "portal took, only the first ones were compared."
)

PLAIN_BUT_DONE = "DataHub says done, but the table holds plain values"
PLAIN_AFTER_RUN = "A run tokenized these columns, and plain values have come since"
TOKENS_BUT_NOT_DONE = "The table holds tokens only, but DataHub does not say done"
COLUMN_GONE = "A tokenized column is not in the table any more"
REVERSIBLE = "Tokens hold the value itself, and anybody can read it"
PERHAPS_REVERSIBLE = "Tokens may hold the value itself, and nobody can tell which"
PROOF_LOST = "DataHub has lost the proof of the last run"
NOT_CHECKED = "Could not be checked"

#: What mends a difference: another run, one that makes tokens anew, writing the last run's outcome
#: again, or a person's eyes.
RUN_AGAIN, REKEY, WRITE_AGAIN, BY_HAND = "run", "re-key", "write", "none"


@dataclass(frozen=True)
class Difference:
    """finding: its name. repair: what mends it. run_id: the run to write again. repaired: done."""

    dataset: str
    finding: str
    columns: list[str]
    rows_plain: int | None
    detail: str
    repair: str = BY_HAND
    run_id: int | None = None
    repaired: bool = False


@dataclass(frozen=True)
class _Past:
    """Every column that a run of the portal tokenized, and the run whose outcome counts now."""

    columns: list[str]
    latest: TokenizationRun | None = None


def run(ctx: JobContext, *, environment: str | None) -> dict[str, Any]:
    """{"checked": n, "agree": n, "findings": [{dataset, finding, columns, rows_plain, detail,
    repair, run_id, repaired}], "more": findings left out, "note": datasets left out}.

    Looks at every dataset that is tagged done and at every one that a run of the portal
    succeeded on, and at every column that any of these runs tokenized. A lost proof is written
    again at once, if whoever asks may run. Raises NotFound when there is no DataHub connection.
    """
    require(ctx.actor, Permission.TOKENIZATION_PREVIEW)
    with ctx.database.read() as session:
        config = resolve.connection(session, environment=environment, kind="datahub")
        past = _past(session, config.environment.id)
    found: list[Difference] = []
    checked = agree = 0
    with sources.datahub_client(config) as client:
        tagged = list(client.datasets_with_tag(tags.DONE, limit=MAX_DATASETS + 1))
        note = _MORE_TAGGED if len(tagged) > MAX_DATASETS else ""
        datasets = list(dict.fromkeys([*tagged[:MAX_DATASETS], *past]))
        for number, dataset in enumerate(datasets):
            ctx.progress(number, len(datasets), note=dataset)
            checked += 1
            known = past.get(dataset, _Past([]))
            here = list(_differences(ctx, client, config.environment.name, dataset, known))
            found += here
            agree += not any(not each.repaired for each in here)
    return {
        "environment": config.environment.name,
        "checked": checked,
        "agree": agree,
        "findings": [asdict(each) for each in found[:MAX_FINDINGS]],
        "more": max(0, len(found) - MAX_FINDINGS),
        "note": note,
    }


def _past(session: ReadSession, environment_id: int) -> dict[str, _Past]:
    # In this order: a first run of a dataset may end in between.
    latest = repository.latest_succeeded(session, environment_id)
    columns = repository.tokenized_columns(session, environment_id)
    return {row.dataset: _Past(columns[row.dataset], row) for row in latest}


def _differences(
    ctx: JobContext, client: DataHubClient, environment: str, dataset: str, past: _Past
) -> Iterator[Difference]:
    try:
        known = sources.find_dataset(client, dataset)
        tagged = _tagged(known) if known and tags.DONE in known.tags and not past.columns else []
        names = past.columns or tagged
        if not names:
            yield Difference(dataset, NOT_CHECKED, [], None, "No column is known to be tokenized.")
            return
        source = ctx.database.ask(sources.locate, dataset=dataset, environment=environment)
        if not source.runnable:
            yield Difference(dataset, NOT_CHECKED, names, None, f"{sources.NOT_CONFIGURED}.")
            return
        engine = engine_for(source)
        yield from _of_table(engine, dataset, names, past, known)
        if source.scheme.keyed:
            can_rekey = Method.REKEY in engine.METHODS
            yield from _of_tokens(engine, dataset, names, can_rekey=can_rekey)
        if known is not None and past.latest is not None:
            yield from _of_proof(ctx, client, past.latest, known)
    except PortalError as exc:
        yield Difference(dataset, NOT_CHECKED, past.columns, None, exc.message)


def _of_table(
    engine: Engine, dataset: str, names: list[str], past: _Past, known: Dataset | None
) -> Iterator[Difference]:
    gone = _gone(engine, names)
    if gone:
        yield Difference(
            dataset,
            COLUMN_GONE,
            gone,
            None,
            "It was dropped or renamed; under another name its values are not looked at. Preview "
            "the dataset and run it on the new column.",
        )
    left = [name for name in names if name not in gone]
    if not left:
        return
    counted = engine.count_plain(left)
    done = known is not None and tags.DONE in known.tags
    if counted.rows_plain:
        plain = [name for name in left if engine.count_plain([name]).rows_plain]
        yield Difference(
            dataset,
            PLAIN_BUT_DONE if done else PLAIN_AFTER_RUN,
            plain,
            counted.rows_plain,
            f"{counted.rows_plain:,} of {counted.rows_total:,} rows hold a plain value.",
            RUN_AGAIN,
        )
    elif not done and counted.rows_total:
        detail = "DataHub does not know the dataset." if known is None else "The tag is missing."
        latest = past.latest.id if past.latest else None
        repair = WRITE_AGAIN if known is not None and latest else BY_HAND
        yield Difference(dataset, TOKENS_BUT_NOT_DONE, left, 0, detail, repair, latest)


def _of_tokens(
    engine: Engine, dataset: str, names: list[str], *, can_rekey: bool
) -> Iterator[Difference]:
    """Left over from a time before the key: no run touches them, because they are tokens."""
    found = engine.read_reversible(names)
    sure = {name: each.rows for name, each in found.items() if each.rows}
    if sure:
        yield Difference(
            dataset,
            REVERSIBLE,
            list(sure),
            None,
            f"Tokens of the scheme base64, not of the key: {_counted(sure)}. A re-key makes them "
            "anew from the values that they hold.",
            REKEY if can_rekey else BY_HAND,
        )
    unsure = {name: each.unsure for name, each in found.items() if each.unsure}
    if unsure:
        yield Difference(
            dataset,
            PERHAPS_REVERSIBLE,
            list(unsure),
            None,
            f"Text in tokens as long as keyed ones: {_counted(unsure)}, more than chance explains. "
            "No re-key touches them, because some may be of the key: load the plain values of "
            "these columns again and run them.",
        )


def _counted(rows: dict[str, int]) -> str:
    return ", ".join(f"{n:,} in {name}" for name, n in rows.items())


def _gone(engine: Engine, names: list[str]) -> list[str]:
    try:
        engine.require_columns(names)
    except NoSuchColumn as exc:
        return list(exc.missing)
    return []


def _of_proof(
    ctx: JobContext, client: DataHubClient, row: TokenizationRun, known: Dataset
) -> Iterator[Difference]:
    """Ingestion replaces custom properties as a whole; what the portal put there is put back."""
    newest = ctx.database.ask(repository.latest_ended, row)
    view = repository.view(newest)
    wanted = write_back.proof(view)
    if known.custom_properties.get(tags.LAST_RUN_PROPERTY) == wanted:
        return
    repaired = ctx.actor.may(Permission.TOKENIZATION_RUN)
    if repaired:
        _restore(client, view, wanted)
    columns = [column.name for column in view.columns]
    yield Difference(
        row.dataset,
        PROOF_LOST,
        columns,
        None,
        f"The custom property {tags.LAST_RUN_PROPERTY} is not that of run {view.id}"
        + ("; it was written again." if repaired else "."),
        WRITE_AGAIN,
        view.id,
        repaired,
    )


def _restore(client: DataHubClient, view: RunView, proof: str) -> None:
    client.set_custom_property(view.dataset, tags.LAST_RUN_PROPERTY, proof)
    write_back.keep(client, view)


def _tagged(dataset: Dataset) -> list[str]:
    return list(detection.tagged_columns(dataset, patterns.load()))
