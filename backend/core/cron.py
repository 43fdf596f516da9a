"""When a schedule is due: cron expressions of five fields, in UTC."""

from datetime import datetime

from backend.core.errors import InvalidInput


def next_time(cron: str, now: datetime) -> datetime | None:
    """When a cron expression (five fields, UTC) is due next; None without one.

    Raises InvalidInput with an example.
    """
    from croniter import CroniterError, croniter

    if not cron.strip():
        return None
    try:
        if len(cron.split()) != 5:
            raise ValueError("it has not five fields")
        due: datetime = croniter(cron, now, ret_type=datetime).get_next()
    except (CroniterError, ValueError) as exc:
        raise InvalidInput(
            f"The schedule {cron!r} is no cron expression ({exc}). For example: 0 6 * * 1-5."
        ) from exc
    return due
