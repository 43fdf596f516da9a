"""Do the mapped targets exist? Asked of AWS one by one; answers are kept on the rules."""

from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import UpstreamError
from backend.ingestion import aws, run_context
from backend.ingestion.links import Progress
from backend.ingestion.repository import set_problem
from backend.ingestion.targets import Target
from backend.integrations.aws.errors import AwsDenied, AwsNotFound

MAX_TARGETS = 500


def check_targets(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Ask AWS about every distinct target of all three sources; returns counts.

    Stops at the first error that is about AWS as a whole (credentials, network) and raises it.
    """
    access.require(actor, Permission.INGESTION_MAPPING_WRITE)
    context = database.ask(run_context.load, environment)
    wanted = sorted(
        {rule.target for rules in context.sources for rule in rules if not rule.problem},
        key=lambda target: (target.kind, target.name),
    )
    dead = 0
    for done, target in enumerate(wanted[:MAX_TARGETS], start=1):
        problem = _problem(context, target)
        dead += bool(problem)
        database.change(set_problem, context.environment_id, target, problem, clock.now())
        if progress is not None:
            progress(done, min(len(wanted), MAX_TARGETS), "")
    return {"checked": min(len(wanted), MAX_TARGETS), "dead": dead, "targets": len(wanted)}


def _problem(context: run_context.RunContext, target: Target) -> str:
    try:
        aws.facts(context.aws, target, fresh=True)
    except (AwsNotFound, AwsDenied) as exc:
        return exc.message
    except UpstreamError as exc:
        if exc.status == 502:
            return exc.message
        raise
    return ""
