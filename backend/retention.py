"""How long each table's rows are kept; docs/deploy.md has the same as a table: `make docs`."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, or_, select, true

from backend.changes.schemas import OPEN
from backend.core import audit_archive
from backend.core.retention import Rows, Rule
from backend.core.settings import variable_names
from backend.models import (
    ApiToken,
    Change,
    IngestionRun,
    Job,
    NotificationChannel,
    SyncPlan,
    SyncRun,
    TokenizationRun,
    TokenizationTag,
)
from backend.tokenization.schemas import ACTIVE, CleanUpState, RunState, WriteBackState
from backend.user_sync import reaper

START, END = "<!-- retention:start -->", "<!-- retention:end -->"
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "deploy.md"
_BY_HAND = "until somebody removes it"
_WITH_IT = "with the environment"
_FOR_EVER = "for ever on purpose: "


_SETTLED = ("succeeded", "partial", "cancelled")  # of a user sync; a stopped one can go on


def _jobs(before: datetime) -> Sequence[ColumnElement[bool]]:
    """Ended, and nothing that is open asks how."""
    waits = TokenizationRun.state.in_(ACTIVE) | _proof_is_due()
    asking: tuple[tuple[Any, ColumnElement[bool]], ...] = (
        (Change.job_id, Change.state.in_(OPEN)),
        (TokenizationRun.job_id, waits),
        (SyncPlan.job_id, SyncPlan.state == "planning"),
        (SyncRun.job_id, SyncRun.state.notin_(_SETTLED)),
        (NotificationChannel.job_id, true()),
    )
    return (
        Job.state.notin_(("queued", "running")),
        Job.created_at < before,
        *(
            Job.id.notin_(select(number).where(number.is_not(None), open_))
            for number, open_ in asking
        ),
    )


def _ingestion(before: datetime) -> Sequence[ColumnElement[bool]]:
    return (
        IngestionRun.settled.is_(True),
        IngestionRun.active_key.is_(None),
        IngestionRun.created_at < before,
        IngestionRun.run_id.notin_(select(Change.run_id).where(Change.state.in_(OPEN))),
    )


def _tokenization(before: datetime) -> Sequence[ColumnElement[bool]]:
    """Only those that are known to have changed nothing, and that nothing waits for."""
    never_wrote = TokenizationRun.state.in_((RunState.SKIPPED, RunState.CANCELLED))
    unchanged = (TokenizationRun.rows_updated == 0) | (
        TokenizationRun.rows_updated.is_(None) & never_wrote
    )
    tags = select(TokenizationTag.run_id).where(TokenizationTag.run_id.is_not(None))
    return (
        TokenizationRun.state.notin_(ACTIVE),
        TokenizationRun.active_key.is_(None),
        TokenizationRun.clean_up != CleanUpState.WANTED,
        ~_proof_is_due(),
        unchanged,
        TokenizationRun.created_at < before,
        TokenizationRun.id.notin_(tags),
    )


def _proof_is_due() -> ColumnElement[bool]:
    return TokenizationRun.write_back.in_((WriteBackState.PENDING, WriteBackState.FAILED))


def _sync_runs(before: datetime) -> Sequence[ColumnElement[bool]]:
    """Settled, and no plan takes it back: that one goes first, with its own run."""
    reverted = select(SyncPlan.reverts_run_id).where(SyncPlan.reverts_run_id.is_not(None))
    return (
        SyncRun.state.in_(_SETTLED),
        SyncRun.finished_at < before,
        SyncRun.id.notin_(reverted),
    )


def _tokens(before: datetime) -> Sequence[ColumnElement[bool]]:
    return (or_(ApiToken.revoked_at < before, ApiToken.expires_at < before),)


#: One for every table of the state database.
RULES: Sequence[Rule] = (
    Rule(
        "audit_events",
        "{days} after they were written; then in signed archives",
        "keep_audit_days",
        audit_archive.Events(),
    ),
    Rule("audit_archives", f"{_FOR_EVER}where the log goes on behind its archives"),
    Rule("audit_head", f"{_FOR_EVER}one row"),
    Rule("system_secrets", f"{_FOR_EVER}the portal's own keys"),
    Rule("accounts", f"{_FOR_EVER}of a deleted one its number, for the audit log names it"),
    Rule("account_identities", "with the account, or until unlinked"),
    Rule("account_sessions", "30 days after their end", by="accounts.clean_up"),
    Rule("provider_sessions", "with the session", by="accounts.clean_up"),
    Rule("provider_flows", "until they expire", by="accounts.clean_up"),
    Rule("provider_logouts", "until the token is too old to be obeyed", by="accounts.clean_up"),
    Rule("second_factors", _BY_HAND),
    Rule("sign_in_tickets", "until they expire", by="accounts.clean_up"),
    Rule("sign_in_backoff", "an hour after the last failure", by="accounts.clean_up"),
    Rule(
        "api_tokens",
        "{days} after they were revoked or expired",
        "keep_tokens_days",
        Rows(ApiToken, _tokens),
    ),
    Rule("changes", f"{_FOR_EVER}who asked for what and who approved it"),
    Rule("change_steps", f"{_FOR_EVER}with the change"),
    Rule("change_texts", f"{_FOR_EVER}with the change"),
    Rule("change_policies", _WITH_IT),
    Rule("environments", _BY_HAND),
    Rule("connections", _WITH_IT),
    Rule("connection_secrets", _WITH_IT),
    Rule("connection_tests", "the newest 50 of a connection"),
    Rule("datahub_client_info", _WITH_IT),
    Rule("events", "90 days, and while they last", by="notifications.forget"),
    Rule("notification_deliveries", "with the event", by="notifications.forget"),
    Rule("notification_channels", _BY_HAND),
    Rule("notification_seen", "with the account"),
    Rule("alerts_seen", "as long as the alert lasts", by="notifications.watch"),
    Rule(
        "jobs",
        "{days} after they were made, once ended and nothing open refers to them; then in archives",
        "keep_jobs_days",
        Rows(Job, _jobs, archived=True),
    ),
    Rule("job_lines", "30 days", by="jobs.forget_old_lines"),
    Rule("leases", f"{_FOR_EVER}a row for the schedule, one for the sandbox"),
    Rule("schedule_marks", f"{_FOR_EVER}one row per periodic task"),
    Rule("metric_totals", f"{_FOR_EVER}one row per series of /metrics"),
    Rule(
        "ingestion_runs",
        "{days} after they were asked for, once settled and no open request refers to them; "
        "then in archives",
        "keep_runs_days",
        Rows(IngestionRun, _ingestion, archived=True),
    ),
    Rule("ingestion_rules", _BY_HAND),
    Rule("ingestion_mappings", _WITH_IT),
    Rule("ingestion_schedules", f"{_BY_HAND}, or {_WITH_IT}"),
    Rule("ingestion_favourites", f"{_BY_HAND}, or with the account or the environment"),
    Rule("mount_targets", _BY_HAND),
    Rule("mount_requests", "until their job has used them", by="mounts.orphans"),
    Rule("mount_orphans", "until the next scan", by="mounts.orphans"),
    Rule("mount_watches", _WITH_IT, by="mounts.orphans"),
    Rule(
        "tokenization_runs",
        "{days}, then in archives; for ever if rows may have changed or anything waits for them",
        "keep_runs_days",
        Rows(TokenizationRun, _tokenization, archived=True),
    ),
    Rule("tokenization_tags", "until the tag is gone"),
    Rule(
        "user_sync_runs",
        "{days} after their end, with their people; kept if stopped or while a plan reverts them",
        "keep_runs_days",
        Rows(SyncRun, _sync_runs, first=reaper.forget_people),
    ),
    Rule("user_sync_items", "with the run", by="jobs.retention"),
    Rule(
        "user_sync_plans",
        "7 days after they expired; those that were applied with the run",
        by="user_sync.cleanup",
    ),
    Rule("user_sync_rows", "with the plan", by="user_sync.cleanup"),
    Rule("user_sync_ignores", _BY_HAND),
    Rule("user_sync_settings", _BY_HAND),
    Rule("user_sync_uploads", "until the next upload"),
    Rule("user_sync_domain_map", f"{_FOR_EVER}the history of the mapping"),
)


def table() -> str:
    """A Markdown table with a row per table."""
    lines = ["| table | its rows are kept | setting |", "|---|---|---|"]
    for rule in RULES:
        setting = f"`{variable_names(rule.setting)[0]}`" if rule.setting else "–"
        kept = rule.kept.format(days="so many days")
        lines.append(f"| `{rule.table}` | {kept} | {setting} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """A document with the table between its markers renewed; raises ValueError without them."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"docs/deploy.md needs {START} and {END} around the table")
    return f"{before}{START}\n{table()}\n{END}{after}"


def main() -> None:
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
