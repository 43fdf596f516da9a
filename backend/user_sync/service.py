"""User sync for pages, CLI and REST: every verb in one place."""

from backend.user_sync.plans import (
    all_rows,
    applicable_user_ids,
    get_plan,
    list_plans,
    list_rows,
    plan_csv,
    plan_now,
    start_plan,
    waiting,
)
from backend.user_sync.reverting import revert
from backend.user_sync.rules import (
    forget_ignore,
    get_settings,
    ignore,
    list_ignores,
    next_time,
    save_settings,
)
from backend.user_sync.runs import (
    all_items,
    apply,
    cancel,
    execute,
    get_run,
    list_items,
    list_runs,
    over_limit,
    resume,
    run_csv,
)

__all__ = [
    "all_items",
    "all_rows",
    "applicable_user_ids",
    "apply",
    "cancel",
    "execute",
    "forget_ignore",
    "get_plan",
    "get_run",
    "get_settings",
    "ignore",
    "list_ignores",
    "list_items",
    "list_plans",
    "list_rows",
    "list_runs",
    "next_time",
    "over_limit",
    "plan_csv",
    "plan_now",
    "resume",
    "revert",
    "run_csv",
    "save_settings",
    "start_plan",
    "waiting",
]
