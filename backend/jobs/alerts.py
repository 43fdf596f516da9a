"""Jobs that did not end well or do not move, for the Overview page."""

from datetime import timedelta

from backend.core import clock
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert, Severity
from backend.core.database import ReadSession
from backend.core.words import counted
from backend.jobs import repository
from backend.jobs.schemas import JobView

PAGE = "jobs"
RECENT = timedelta(days=7)
#: A heartbeat comes every 5 s; a queued job is claimed within seconds where any worker is free.
SILENT = timedelta(minutes=2)
WAITING = timedelta(minutes=15)
_NEWEST = 2_000
_MOST = 5
_ENDED: dict[str, tuple[Severity, str]] = {
    "failed": ("warning", "failed"),
    "interrupted": ("warning", "was interrupted"),
    "unknown": ("error", "has an unknown outcome"),
}


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """What is stuck, and what ended badly last: a later good run of the same kind and subject
    answers an earlier bad one."""
    if not actor.may(Permission.JOBS_READ):
        return []
    now = clock.now()
    stuck, all_stuck = repository.list_stuck(
        session, silent_since=now - SILENT, waiting_since=now - WAITING, limit=_MOST
    )
    ended = repository.list_last_ended(
        session, states=tuple(_ENDED), since=now - RECENT, most=_NEWEST
    )
    found = [_stuck(view) for view in stuck] + [_ended(view) for view in ended[:_MOST]]
    if rest := all_stuck - len(stuck):
        text = f"{counted(rest, 'more job is', 'more jobs are')} stuck."
        found.append(Alert("error", text, PAGE, count=rest))
    if len(ended) > _MOST:
        rest = len(ended) - _MOST
        text = f"{counted(rest, 'more job', 'more jobs')} did not end well in the last 7 days."
        found.append(Alert("warning", text, PAGE, count=rest))
    return found


def _stuck(view: JobView) -> Alert:
    if view.state == "running":
        text = "its worker no longer answers"
    else:
        text = "it waits and no worker takes it"
    return Alert(
        "error",
        f"{_called(view)} is stuck: {text}.",
        PAGE,
        view.heartbeat_at,
        _to(view),
        # One message for all: where a worker is gone, everything it had stands still.
        "jobs.stuck",
        "any",
        f"Run {view.id} and maybe others: {text}",
    )


def _ended(view: JobView) -> Alert:
    severity, word = _ENDED[view.state]
    text = f"{_called(view)} {word}. {view.error or ''}".strip()
    return Alert(severity, text, PAGE, view.finished_at, _to(view))


def _called(view: JobView) -> str:
    about = f" ({view.subject})" if view.subject else ""
    return f"Run {view.id}, {view.title}{about},"


def _to(view: JobView) -> tuple[tuple[str, str], ...]:
    return (("job", str(view.id)),)
