"""Start the comparison of DataHub with the tables, read its result, repair what it found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backend.connections import environments, resolve
from backend.core import access, clock
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotFound
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.jobs.schemas import JobView
from backend.tokenization import check, repository, service
from backend.tokenization.schemas import Method, RunView, Trigger

KIND = "tokenization.check"
#: What starts a run, and by which method.
_METHODS = {check.RUN_AGAIN: Method.IN_PLACE, check.REKEY: Method.REKEY}
_INTERVALS = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}


@dataclass(frozen=True)
class Comparison:
    """The last comparison of an environment. result: as `check.run` returns it, None until then."""

    job_id: int
    status: str
    started_at: datetime
    finished_at: datetime | None
    result: dict[str, Any] | None

    @property
    def open(self) -> list[dict[str, Any]]:
        """Differences that nothing has mended."""
        found = (self.result or {}).get("findings") or []
        return [each for each in found if not each.get("repaired")]

    @property
    def more(self) -> int:
        """Differences that the result has no room for."""
        return int((self.result or {}).get("more") or 0)

    @property
    def rest(self) -> str:
        """What the result leaves out, in sentences; "" for nothing."""
        more = f"… and {self.more:,} more." if self.more else ""
        return " ".join(filter(None, [more, (self.result or {}).get("note", "")]))

    def document(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "status": self.status,
            "started_at": clock.iso(self.started_at),
            "finished_at": clock.iso(self.finished_at),
            **(self.result or {}),
        }


def start(session: WriteSession, actor: Actor, *, environment: str | None = None) -> int:
    """Queue the comparison; returns the job's id. Raises NotFound without a DataHub connection."""
    access.require(actor, Permission.TOKENIZATION_PREVIEW)
    config = resolve.connection(session, environment=environment, kind="datahub")
    name = config.environment.name
    arguments = {"environment": name}
    return enqueue(session, actor, KIND, arguments, subject=_subject(name), environment=name)


def latest(
    session: ReadSession, actor: Actor, *, environment: str | None = None
) -> Comparison | None:
    """The newest comparison of the environment, whatever became of it."""
    access.require(actor, Permission.TOKENIZATION_READ)
    return latest_of(session, resolve.environment(session, environment).name)


def latest_of(session: ReadSession, name: str) -> Comparison | None:
    """The same of an environment that is known to be there, for who asks about all of them."""
    found = jobs.find_newest(session, SYSTEM, kind=KIND, subject=_subject(name))
    return _shown(found) if found is not None else None


def repair(
    database: Database,
    actor: Actor,
    *,
    dataset: str,
    finding: str,
    environment: str | None = None,
    trigger: Trigger,
) -> RunView:
    """Mend one difference of the newest comparison; the run that does it, or is written again.

    Raises NotFound when the comparison has no such difference, InvalidInput for what only a person
    can mend, and what `service.start` and `service.retry_write_back` raise.
    """
    access.require(actor, Permission.TOKENIZATION_RUN)
    with database.read() as session:
        newest = latest(session, actor, environment=environment)
        name = resolve.environment(session, environment).name
    found = next(
        (
            each
            for each in (newest.open if newest else [])
            if (each["dataset"], each["finding"]) == (dataset, finding)
        ),
        None,
    )
    if found is None:
        raise NotFound("The last comparison has no such difference; compare again.")
    if found["repair"] in _METHODS:
        return service.start(
            database,
            actor,
            dataset=dataset,
            columns=found["columns"],
            environment=name,
            trigger=trigger,
            schemes=_schemes(database, dataset, name, found["columns"]),
            method=_METHODS[found["repair"]],
        )
    if found["repair"] == check.WRITE_AGAIN and found["run_id"]:
        return database.change(service.retry_write_back, actor, run_id=found["run_id"])
    raise InvalidInput(f"{finding}: only a person can mend this. {found['detail']}")


def start_due(database: Database) -> list[int]:
    """Queue the comparison of each environment whose interval has passed; the jobs' ids."""
    with database.read() as session:
        due = [each.name for each in environments.list_all(session, SYSTEM)]
        due = [name for name in due if _is_due(session, name)]
    queued = []
    for name in due:
        with database.write() as session:
            queued.append(start(session, SYSTEM, environment=name))
    return queued


def _is_due(session: ReadSession, name: str) -> bool:
    config = resolve.connection(session, environment=name, kind="tokenization")
    interval = _INTERVALS.get(config.settings.get("compare", ""))
    if interval is None or resolve.find(session, environment=name, kind="datahub") is None:
        return False
    newest = latest(session, SYSTEM, environment=name)
    if newest is not None and clock.now() - newest.started_at < interval:
        return False
    # Nothing was ever tokenized: nothing to compare.
    return repository.any_succeeded(session, config.environment.id)


def _schemes(
    database: Database, dataset: str, environment: str, columns: Sequence[str]
) -> dict[str, str]:
    """Keyed schemes of its own that earlier runs gave a column."""
    with database.read() as session:
        environment_id = resolve.environment(session, environment).id
        known = repository.tokenized(session, environment_id, dataset)
    return {name: known[name].scheme for name in columns if name in known and known[name].scheme}


def _subject(name: str) -> str:
    return f"catalog and tables of {name}"


def _shown(job: JobView) -> Comparison:
    return Comparison(job.id, job.state, job.created_at, job.finished_at, job.result)
