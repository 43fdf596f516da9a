"""The inverse of a run, as a plan."""

from collections.abc import Iterator
from datetime import timedelta

from backend.connections import resolve
from backend.core import access, audit, clock
from backend.core.access import Actor, Permission
from backend.core.database import WriteSession
from backend.core.settings import get_settings
from backend.integrations.openmetadata.schemas import StoredUser
from backend.models import SyncPlan, SyncRun
from backend.user_sync import (
    plans,
    reaper,
    repository,
    row_repository,
    rules_repository,
    run_repository,
)
from backend.user_sync.addresses import looks_alike
from backend.user_sync.comparing import ONLY_FORM, PlanRow
from backend.user_sync.errors import NothingToRevert, RevertElsewhere, RevertTooOld
from backend.user_sync.fields import TEXTS, Changes
from backend.user_sync.planning import Tally
from backend.user_sync.schemas import TAKES_BACK, ItemView, PlanView


def revert(session: WriteSession, actor: Actor, *, run_id: int) -> PlanView:
    """The inverse of what a run stored, as a plan to be reviewed and applied like any other.

    Takes back only the fields that were really stored, and unknown writes as far as they turn out
    to be stored; users changed since then become conflicts when the plan is applied.
    Raises RunNotFound, RunActive, RevertTooOld, RevertElsewhere, NothingToRevert.
    """
    access.require(actor, Permission.USER_SYNC_PLAN)
    run = reaper.at_rest(session, run_id)
    _check_kept(run)
    source = repository.get_plan(session, run.plan_id)
    _check_home(session, run, source)
    plan = plans.create(session, actor, environment=run.environment, origin="revert")
    rows = _inverse(run_repository.all_items(session, run, source.host_port))
    if not rows:
        raise NothingToRevert(run_id)
    tally = Tally()
    for row in rows:
        tally.add(row)
    made = row_repository.values(plan.id, rows, row_repository.RefEncoder())
    row_repository.insert_rows(session, made)
    return _ready(session, actor, plan.id, run, source, tally)


def _check_kept(run: SyncRun) -> None:
    """Its people may be on their way out. Raises RevertTooOld."""
    days = get_settings().keep_runs_days
    ended = run.finished_at
    if days and ended is not None and ended < clock.now() - timedelta(days=days):
        raise RevertTooOld(run.id, days)


def _check_home(session: WriteSession, run: SyncRun, source: SyncPlan) -> None:
    """A clone of the server knows the same user ids, so nothing later would notice.

    Raises RevertElsewhere.
    """
    config = resolve.connection(session, kind="openmetadata", environment=run.environment)
    now = config.settings["host_port"].rstrip("/")
    if now != source.host_port:
        raise RevertElsewhere(run.id, source.host_port, now)


def _inverse(items: Iterator[ItemView]) -> list[PlanRow]:
    rows: list[PlanRow] = []
    for item in items:
        unknown = item.state == "unknown"
        taken = {n: c for n, c in item.row.changes.items() if unknown or n in item.stored}
        if taken:
            rows.append(_taken_back(len(rows), item, taken, unknown=unknown))
    return rows


def _taken_back(position: int, item: ItemView, taken: Changes, *, unknown: bool) -> PlanRow:
    """From what the run stored back to what was there."""
    row = item.row
    old, name = taken.get("displayName", (row.old_name, row.old_name))
    before, domains = taken.get("domains", (row.old_domains, row.old_domains))
    user = StoredUser(
        id=item.user_id,
        name=row.user_name or "",
        email=row.email,
        display_name=name,
        version=item.version_after,
        updated_at=None,
        updated_by=None,
        is_bot=False,
        deleted=False,
        domains=domains,
        inherited=row.inherited,
    )
    reason = TAKES_BACK + (", if it was stored" if unknown else "")
    inverse = PlanRow(position, "update", reason, row.email, user)
    inverse.sets_name, inverse.new_name = "displayName" in taken, old
    inverse.look_alike = inverse.sets_name and looks_alike(name or "", old or "")
    if inverse.look_alike:
        inverse.reason += f"; {ONLY_FORM}"
    inverse.sets_domains, inverse.new_domains = "domains" in taken, before
    texts = {key: (new, was) for key, (was, new) in taken.items() if key in TEXTS}
    inverse.texts = texts or None
    return inverse


def _ready(
    session: WriteSession, actor: Actor, plan_id: int, run: SyncRun, source: SyncPlan, tally: Tally
) -> PlanView:
    plan = repository.get_plan(session, plan_id)
    now = clock.now()
    hours = rules_repository.settings_view(
        session, plan.environment_id, plan.environment
    ).settings.expires_hours
    plan.state, plan.ready_at, plan.expires_at = "ready", now, now + timedelta(hours=hours)
    plan.reverts_run_id = run.id
    plan.server_version, plan.directory_count = source.server_version, tally.kinds.total()
    plan.listed_count, plan.matched_count = source.listed_count, source.matched_count
    plan.kinds, plan.fields = tally.kind_counts(), dict(tally.fields)
    plan.domain_names, plan.digest = sorted(tally.domains)[:1000], tally.digest()
    audit.record(
        session,
        actor,
        "user_sync:plan:create",
        subject=f"plan {plan.id} on {plan.environment}",
        outcome="ready",
        details={"reverts_run": run.id, "kinds": plan.kinds, "digest": plan.digest},
    )
    session.flush()
    return repository.plan_view(session, plan)
