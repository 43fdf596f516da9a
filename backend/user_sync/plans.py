"""Make plans and look at them."""

from collections.abc import Collection, Iterator, Sequence

from backend.connections import resolve
from backend.core import access, choices, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.jobs.enqueue import enqueue
from backend.models import SyncPlan
from backend.user_sync import exports, planning, repository, row_repository, validation
from backend.user_sync.addresses import address_key
from backend.user_sync.errors import PlanNotReady
from backend.user_sync.planning import Control, Silent
from backend.user_sync.schemas import PlanView, RowFilter, RowPage, RowView, Waiting

MAX_EXPORT = 1_000_000


def plan_now(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    origin: str = "manual",
    accept_short: bool = False,
    control: Control | None = None,
) -> PlanView:
    """Make a plan in the calling thread (CLI, REST).

    environment: a name, None for the default one. accept_short: plan even when the directory
    named far fewer people than the last time. Raises the errors of both sides, ShortAnswer, and
    NotFound with advice when something is not configured.
    """
    access.require_to_ask(actor, Permission.USER_SYNC_PLAN)
    with database.write() as session:
        plan = create(session, actor, environment=environment, origin=origin)
        plan_id = plan.id
    return planning.run(database, actor, plan_id, control or Silent(), accept_short=accept_short)


def start_plan(
    session: WriteSession,
    actor: Actor,
    *,
    environment: str | None = None,
    origin: str = "manual",
    accept_short: bool = False,
) -> PlanView:
    """Make a plan in the background; the view names its job."""
    access.require_to_ask(actor, Permission.USER_SYNC_PLAN)
    plan = create(session, actor, environment=environment, origin=origin)
    plan.job_id = enqueue(
        session,
        actor,
        "user_sync.plan",
        {"plan_id": plan.id, "accept_short": accept_short},
        subject=f"plan {plan.id} on {plan.environment}",
        environment=plan.environment,
    )
    session.flush()
    return repository.plan_view(session, plan)


def create(
    session: WriteSession, actor: Actor, *, environment: str | None, origin: str
) -> SyncPlan:
    """The row of a plan that is about to be made. Raises when a side is not configured."""
    config = resolve.connection(session, kind="openmetadata", environment=environment)
    resolve.connection(session, kind="directory", environment=environment)
    row = SyncPlan(
        environment_id=config.environment.id,
        environment=config.environment.name,
        state="planning",
        origin=origin,
        actor_name=actor.name[:255],
        created_at=clock.now(),
        host_port=config.settings["host_port"].rstrip("/")[:500],
        server_version="",
        directory_count=0,
        listed_count=0,
        matched_count=0,
        kinds={},
        fields={},
        domain_names=[],
        digest="",
    )
    session.add(row)
    session.flush()
    return row


def get_plan(session: ReadSession, actor: Actor, *, plan_id: int) -> PlanView:
    """One plan's head. Raises PlanNotFound."""
    access.require(actor, Permission.USER_SYNC_READ)
    return repository.plan_view(session, repository.get_plan(session, plan_id))


def list_plans(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> tuple[PlanView, ...]:
    """Newest first; environment None: of all environments."""
    access.require(actor, Permission.USER_SYNC_READ)
    choices.check_limit(limit, validation.MAX_PAGE)
    found = resolve.environment(session, environment).id if environment else None
    return tuple(repository.list_plans(session, environment_id=found, limit=limit, before=before))


def list_rows(
    session: ReadSession,
    actor: Actor,
    *,
    plan_id: int,
    wanted: RowFilter | None = None,
    offset: int = 0,
    limit: int = 100,
) -> RowPage:
    """Rows of a plan in the directory's order, at most 1,000 a page."""
    access.require(actor, Permission.USER_SYNC_READ)
    choices.check_limit(limit, validation.MAX_PAGE)
    plan = repository.get_plan(session, plan_id)
    return row_repository.page(
        session, plan, wanted or RowFilter(), offset=max(0, offset), limit=limit
    )


def all_rows(
    session: ReadSession, actor: Actor, *, plan_id: int, wanted: RowFilter | None = None
) -> Iterator[RowView]:
    """Every row of a ready plan, for exports and exports. Raises PlanNotReady."""
    access.require(actor, Permission.USER_SYNC_READ)
    plan = repository.get_plan(session, plan_id)
    if plan.state != "ready":
        raise PlanNotReady(plan_id, plan.state, plan.error)
    return row_repository.all_rows(session, plan, wanted or RowFilter(), limit=MAX_EXPORT)


def applicable_user_ids(
    session: ReadSession, actor: Actor, *, plan_id: int, wanted: RowFilter | None = None
) -> tuple[str, ...]:
    """User ids of the filtered rows that could be applied ("tick all of these")."""
    access.require(actor, Permission.USER_SYNC_READ)
    return tuple(row_repository.applicable_ids(session, plan_id, wanted or RowFilter()))


def list_losing_domains(
    session: ReadSession, actor: Actor, *, plan_id: int, user_ids: Collection[str]
) -> tuple[str, ...]:
    """E-mails of those of these users who would lose a direct domain by the plan."""
    access.require(actor, Permission.USER_SYNC_READ)
    if not user_ids:
        return ()  # the page asks at every click, and the rows are many
    found = row_repository.losing_domains(session, plan_id)
    return tuple(sorted(found[user_id] for user_id in found.keys() & set(user_ids)))


def plan_csv(session: ReadSession, actor: Actor, *, plan_id: int) -> str:
    """The whole plan as CSV; cells that a spreadsheet would run as formulas are defused."""
    return exports.plan_csv(all_rows(session, actor, plan_id=plan_id))


def waiting(session: ReadSession, actor: Actor) -> tuple[Waiting, ...]:
    """Environments whose newest plan has changes nobody has applied yet, and is not expired.

    An environment that was deleted is none; one that was renamed has its present name.
    """
    access.require(actor, Permission.USER_SYNC_READ)
    found = []
    known = resolve.reached(session)
    for plan in repository.newest_ready(session, known):
        view = repository.plan_view(session, plan)
        if view.changes and view.run_id is None and not view.expired:
            found.append(
                Waiting(
                    known[plan.environment_id],
                    view.id,
                    view.changes,
                    view.ready_at or view.created_at,
                )
            )
    return tuple(found)


def resolve_ids(
    session: ReadSession, plan_id: int, emails: Sequence[str]
) -> tuple[list[str], list[str]]:
    """(user ids, e-mails that name no applicable row) for addresses in any case."""
    by_email = {
        address_key(email): user_id
        for _, user_id, email in row_repository.applicable_rows(session, plan_id)
    }
    found, unknown = [], []
    for email in emails:
        user_id = by_email.get(address_key(email))
        if user_id is None:
            unknown.append(email)
        else:
            found.append(user_id)
    return found, unknown
