"""User sync for pages, CLI and REST: every verb in one place."""

from backend.user_sync.domain_map import list_domain_map, map_domain, unmap_domain
from backend.user_sync.leavers import leavers
from backend.user_sync.plans import (
    all_rows,
    applicable_user_ids,
    get_plan,
    list_losing_domains,
    list_plans,
    list_rows,
    plan_csv,
    plan_now,
    start_plan,
    waiting,
)
from backend.user_sync.reverting import revert
from backend.user_sync.rules import (
    change_settings,
    forget_ignore,
    get_settings,
    ignore,
    list_ignores,
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
    recent,
    resume,
    run_csv,
)
from backend.user_sync.sources import list_domains, preflight, suggest, try_it, upload, uploaded
