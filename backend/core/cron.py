"""When a schedule is due: cron expressions of five fields, in UTC."""

import re
from datetime import datetime

from backend.core.errors import InvalidInput

#: Characters of an expression that can be kept.
MOST = 100


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
        if len(cron) > MOST:
            raise ValueError(f"it has more than {MOST} characters")
        due: datetime = croniter(cron, now, ret_type=datetime).get_next()
    except (CroniterError, ValueError) as exc:
        raise InvalidInput(
            f"The schedule {cron[:MOST]!r} is no cron expression ({exc}). For example: 0 6 * * 1-5."
        ) from exc
    return due


_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def in_words(cron: str) -> str:
    """ "Every day at 05:00 UTC" for the usual expressions, else the expression itself with UTC."""
    minute, hour, *_, weekday = fields = cron.split()
    if fields[2:4] != ["*", "*"]:
        return f"{cron} UTC"
    step = re.fullmatch(r"\*/(\d+)", minute)
    if step and fields[1:] == ["*"] * 4 and 60 % int(step[1]) == 0:
        return f"Every {step[1]} minutes"
    days = re.fullmatch(r"\*|([0-7])(?:-([0-7]))?", weekday)
    if not days or not minute.isdigit() or not (hour.isdigit() or hour == "*"):
        return f"{cron} UTC"
    first = _DAYS[int(days[1])] if days[1] else "day"
    named = f"{first} to {_DAYS[int(days[2])]}" if days[2] else first
    if hour == "*":
        return f"Every {named} in each hour at minute {int(minute)}, UTC"
    return f"Every {named} at {int(hour):02d}:{int(minute):02d} UTC"
