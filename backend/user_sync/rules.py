"""Settings of an environment, its schedule, and the differences that people ignore."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from backend.connections import resolve
from backend.core import access, audit, choices, clock, reasons
from backend.core.access import Actor, Permission
from backend.core.cron import next_time
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotFound
from backend.core.views import Page
from backend.models import SyncIgnore, SyncRow
from backend.user_sync import (
    plans,
    repository,
    row_repository,
    rules_repository,
    run_repository,
    validation,
)
from backend.user_sync.comparing import domain_identity, mark
from backend.user_sync.errors import NotInPlan
from backend.user_sync.fields import ATTRIBUTES, DISPLAY_NAME, DOMAINS, chosen
from backend.user_sync.schemas import DOMAIN_MODES, IgnoreView, PlanView, Settings, SettingsView

#: Characters of why a difference is ignored.
MAX_REASON = 500


def get_settings(
    session: ReadSession, actor: Actor, *, environment: str | None = None
) -> SettingsView:
    """How an environment plans and applies."""
    access.require(actor, Permission.USER_SYNC_READ)
    found = resolve.environment(session, environment)
    return rules_repository.settings_view(session, found.id, found.name)


def save_settings(
    session: WriteSession, actor: Actor, *, environment: str | None = None, settings: Settings
) -> SettingsView:
    """Store them and set the next scheduled planning. Raises InvalidInput naming the field."""
    access.require(actor, Permission.USER_SYNC_CONFIGURE)
    found = resolve.environment(session, environment)
    _check(settings)
    rules_repository.save_settings(
        session,
        found.id,
        settings,
        next_plan_at=next_time(settings.plan_cron, clock.now()),
        by=actor,
    )
    audit.record(
        session,
        actor,
        "user_sync:schedule:write",
        subject=found.name,
        details={"cron": settings.plan_cron, "applies": settings.apply_on_schedule},
    )
    session.flush()
    return rules_repository.settings_view(session, found.id, found.name)


def change_settings(
    session: WriteSession,
    actor: Actor,
    *,
    environment: str | None = None,
    changes: Mapping[str, object],
) -> SettingsView:
    """Change some settings by name; values may be text, as a command line gives them.

    Raises InvalidInput naming what is unknown or does not fit.
    """
    access.require(actor, Permission.USER_SYNC_CONFIGURE)
    now = get_settings(session, actor, environment=environment).settings
    known = {field.name: type(getattr(now, field.name)) for field in fields(Settings)}
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise InvalidInput(
            f"There is no setting {', '.join(unknown)}; known are {', '.join(known)}."
        )
    read = {name: _as(known[name], name, value) for name, value in changes.items()}
    return save_settings(session, actor, environment=environment, settings=replace(now, **read))


def _as(kind: type, name: str, value: object) -> Any:
    if kind is bool:
        found = {"true": True, "yes": True, "false": False, "no": False}.get(str(value).lower())
        if found is None:
            raise InvalidInput(f"{name} is true or false, not {value!r}.")
        return found
    try:
        return kind(str(value))
    except ValueError as exc:
        raise InvalidInput(f"{name} is a number, not {value!r}.") from exc


def _check(settings: Settings) -> None:
    next_time(settings.plan_cron, clock.now())
    chosen(settings.attributes)
    for label, value, low, high in (
        ("The share of the last good answer", settings.min_share, 0.0, 1.0),
        ("The limit in percent", settings.limit_percent, 0.0, 100.0),
        ("The number of users from which the limit counts", settings.limit_from, 0, 10_000_000),
        ("The hours until a plan expires", settings.expires_hours, 0.1, 24 * 30),
        ("The number of users written at the same time", settings.concurrency, 1, 32),
        ("The number of users a page", settings.page_size, 25, 1_000_000),
        ("The seconds for an answer of OpenMetadata", settings.timeout, 1.0, 600.0),
        ("The seconds for an answer of the directory", settings.directory_timeout, 1.0, 3_600.0),
    ):
        if not low <= value <= high:
            raise InvalidInput(f"{label} must be between {low:g} and {high:g}.")
    if settings.domain_mode not in DOMAIN_MODES:
        raise InvalidInput(f"The domain mode is one of {', '.join(DOMAIN_MODES)}.")
    if settings.apply_on_schedule and not settings.plan_cron.strip():
        raise InvalidInput("Applying on schedule needs a schedule.")


def ignore(
    session: WriteSession,
    actor: Actor,
    *,
    plan_id: int,
    user_id: str = "",
    email: str = "",
    field: str,
    reason: str,
) -> PlanView:
    """Ignore a difference until either side changes; it leaves this plan at once.

    user_id or email: whose. field: displayName or domains. Raises InvalidInput without a reason
    and when the plan was applied, NotInPlan.
    """
    access.require(actor, Permission.USER_SYNC_PLAN)
    choices.check("field", field, ATTRIBUTES)
    if not reason.strip():
        raise InvalidInput("Say why this difference is ignored; others will read it.")
    reason = reasons.checked(reason, most=MAX_REASON)
    plan = repository.get_plan(session, plan_id, lock=True)
    if run_repository.find_by_plan(session, plan_id) is not None:
        raise InvalidInput(f"Plan {plan_id} was applied already; plan again, then decide.")
    if email and not user_id:
        user_id = _id_of(session, plan_id, email)
    row = row_repository.get_row(session, plan_id, user_id)
    changes = row_repository.row_view(row, "").changes if row is not None else {}
    if row is None or field not in changes:
        raise NotInPlan(plan_id, [user_id])
    ignored = _ignored(actor, row, field, changes[field], reason)
    ignored.environment_id = plan.environment_id
    rules_repository.put_ignore(session, ignored)
    _take_out(session, plan_id, row, field, f"{actor.name}: {reason}"[:480])
    audit.record(
        session,
        actor,
        "user_sync:difference:ignore",
        subject=f"{field} of user {user_id} on {plan.environment}",
    )
    session.flush()
    return repository.plan_view(session, plan)


def _ignored(
    actor: Actor, row: SyncRow, field: str, change: tuple[Any, Any], reason: str
) -> SyncIgnore:
    """The difference as it is kept; its environment is the plan's."""
    shown = ATTRIBUTES[field].shown
    return SyncIgnore(
        user_id=str(row.user_id),
        field=field,
        digest=mark(field, *change),
        email=row.email,
        difference=" → ".join(shown(value) for value in change),
        author=actor.name[:255],
        reason=reason,
        created_at=clock.now(),
    )


def _id_of(session: ReadSession, plan_id: int, email: str) -> str:
    found, missing = plans.resolve_ids(session, plan_id, [email])
    if missing:
        raise NotInPlan(plan_id, missing)
    return found[0]


def _take_out(session: WriteSession, plan_id: int, row: SyncRow, field: str, note: str) -> None:
    """Take the difference out of the plan's row and counts."""
    plan = repository.get_plan(session, plan_id)
    fields, kinds = dict(plan.fields), dict(plan.kinds)
    fields[field] = fields.get(field, 1) - 1
    if field == DISPLAY_NAME.name:
        fields["look_alike"] = fields.get("look_alike", 0) - int(row.look_alike)
    elif field == DOMAINS.name:
        old = set(domain_identity(row_repository.refs(row.old_domains)))
        new = set(domain_identity(row_repository.refs(row.new_domains)))
        fields["domains_added"] = fields.get("domains_added", 0) - bool(new - old)
        fields["domains_removed"] = fields.get("domains_removed", 0) - bool(old - new)
    row_repository.keep(row, field)
    if not row_repository.row_view(row, "").applicable:
        fields["users"] = fields.get("users", 1) - 1
        if row.kind == "update":
            kinds["update"], kinds["unchanged"] = kinds["update"] - 1, kinds["unchanged"] + 1
            row.kind = "unchanged"
    row.reason = f"ignored: {note}"[:500]
    plan.fields, plan.kinds = fields, kinds
    session.flush()
    plan.digest = row_repository.digest_of_rows(session, plan_id)


def skip_ignored(session: WriteSession, run_id: int) -> None:
    """Take users out of a run whose difference was ignored after its plan was made.

    Another plan may have been open meanwhile, or the run lay stopped: the decision is the newer
    word. The whole user becomes a conflict, so that a person sees it and plans again; one that may
    have been written already stays unknown, so that a revert still looks at it.
    """
    run = run_repository.get_run(session, run_id)
    known = rules_repository.ignores(session, run.environment_id)
    for item, row in run_repository.open_rows_of(session, run_id, {user for user, _ in known}):
        words = [
            known[item.user_id, field][1]
            for field, (old, new) in row_repository.row_view(row, "").changes.items()
            if known.get((item.user_id, field), ("",))[0] == mark(field, old, new)
        ]
        if words:
            item.state = "unknown" if item.state == "sending" else "conflict"
            item.finished_at = clock.now()
            item.reason = f"ignored since this was planned: {'; '.join(words)}"


def list_ignores(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    limit: int = 200,
    before: int | None = None,
) -> Page[IgnoreView]:
    """The ignored differences of an environment, newest first, at most 1,000 a page."""
    access.require(actor, Permission.USER_SYNC_READ)
    choices.check_limit(limit, validation.MAX_PAGE)
    found = resolve.environment(session, environment)
    return rules_repository.list_ignores(session, found.id, limit=limit, before=before)


def forget_ignore(session: WriteSession, actor: Actor, *, ignore_id: int) -> None:
    """Compare this difference again from the next plan on. Raises NotFound."""
    access.require(actor, Permission.USER_SYNC_PLAN)
    row = session.get(SyncIgnore, ignore_id)
    if row is None:
        raise NotFound("This difference is compared again already.")
    resolve.require_reach(session, row.environment_id)
    audit.record(
        session,
        actor,
        "user_sync:difference:compare",
        subject=f"{row.field} of user {row.user_id}",
    )
    session.delete(row)
