"""What an environment lacks until each job can be run the first time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backend.connections import environments, kinds, repository
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession

Status = Literal["missing", "untested", "failed", "ok"]
#: Job → the kinds that it needs, one of each group.
NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "User sync": (("openmetadata",), ("directory",)),
    "Mounts": (("ledger",), ("rabbitmq",)),
    "Tokenization": (("postgres", "mysql", "databricks"),),
    "Ingestion": (("aws",),),
}
#: Job → the kind that adds to it where a team has one; the job runs without.
ADDS: Mapping[str, str] = {"Tokenization": "datahub", "Ingestion": "datahub"}
_ORDER: tuple[Status, ...] = ("missing", "untested", "failed", "ok")


@dataclass(frozen=True)
class Step:
    """One connection that a job needs. kinds: any one of them does. kind: the one to open: of
    those that are set the best, else the first. status: how that one stands. optional: the job
    runs without."""

    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    kind: str
    status: Status
    optional: bool = False


@dataclass(frozen=True)
class JobSteps:
    """ready: every step that is not optional has a connection whose last test went well."""

    job: str
    steps: tuple[Step, ...]

    @property
    def ready(self) -> bool:
        return all(step.status == "ok" or step.optional for step in self.steps)


def checklist(session: ReadSession, actor: Actor, *, environment: str) -> tuple[JobSteps, ...]:
    """Every job with what it needs in this environment. Raises EnvironmentNotFound."""
    access.require(actor, Permission.CONNECTIONS_READ)
    row = environments.require_row(session, environment)
    tests = {item.kind: item.ok for item in repository.newest_tests(session, row.id)}
    stored = {item.kind for item in repository.list_connections(session, row.id)}

    def status(kind: str) -> Status:
        if kind not in stored:
            return "missing"
        return "untested" if kind not in tests else "ok" if tests[kind] else "failed"

    def step(group: tuple[str, ...], optional: bool = False) -> Step:
        best = max(group, key=lambda kind: _ORDER.index(status(kind)))
        labels = tuple(kinds.KINDS[kind].label for kind in group)
        return Step(group, labels, best, status(best), optional)

    return tuple(
        JobSteps(
            job,
            (*map(step, groups), *((step((ADDS[job],), True),) if job in ADDS else ())),
        )
        for job, groups in NEEDS.items()
    )


def document(environment: str, found: tuple[JobSteps, ...]) -> Mapping[str, Any]:
    """The checklist as REST and `--json` print it."""
    return {
        "environment": environment,
        "jobs": [
            {
                "job": item.job,
                "ready": item.ready,
                "steps": [
                    {
                        "kinds": list(step.kinds),
                        "kind": step.kind,
                        "status": step.status,
                        "optional": step.optional,
                    }
                    for step in item.steps
                ],
            }
            for item in found
        ],
    }
