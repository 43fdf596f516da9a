"""Timed back-off after wrong passwords, never a permanent lock.

Three counters, each for an unknown name as for a known one: the name at one address waits up to
five minutes; the name from anywhere and one address for all names wait up to a minute, so that
nobody can keep a colleague out for long. A browser that signed in to the account before
(`devices`) has a counter of its own instead: what strangers try from elsewhere, or colleagues
behind the same address, does not hold it up. A try is counted before its password is looked at,
so a hundred tries at the same instant are not a hundred free ones; the right password sets the
counters of its name back.

Codes of the second factor have counters of their own. Only whoever has the password reaches them,
so they may wait longer: six digits, of which three fit at a time, last against guesses from many
addresses for as long as there are few of these.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from backend.accounts import backoff_repository as repository
from backend.core import clock, forwarded
from backend.core.database import WriteSession
from backend.core.errors import TooManyAttempts
from backend.models.accounts import SignInBackoff


@dataclass(frozen=True)
class Policy:
    """free: wrong tries without a wait. Then 5 s, doubling with each wrong try up to `longest`.
    forget_after: a counter without a wrong try for this long starts again at nothing."""

    free: int
    longest: timedelta
    forget_after: timedelta = timedelta(hours=1)

    def wait(self, failures: int) -> timedelta:
        over = failures - self.free
        if over < 0:
            return timedelta(0)
        doubled: timedelta = FIRST_WAIT * (1 << min(over, 16))
        return min(doubled, self.longest)


FIRST_WAIT = timedelta(seconds=5)
Step = Literal["password", "code"]
POLICIES = {
    "name+address": Policy(free=5, longest=timedelta(minutes=5)),
    "name": Policy(free=10, longest=timedelta(minutes=1)),
    "address": Policy(free=30, longest=timedelta(minutes=1)),
    "device": Policy(free=5, longest=timedelta(minutes=5)),
    "code": Policy(free=5, longest=timedelta(hours=1), forget_after=timedelta(days=1)),
}
#: No counter is asked after this long.
KEPT = max(policy.forget_after for policy in POLICIES.values())


@dataclass(frozen=True)
class Counted:
    """A try that was let through. waits: it was the one that starts a new wait if it is wrong."""

    waits: bool


def open_session(session_id: int) -> str:
    """The device of guesses in an open session: what strangers try at the sign-in form keeps nobody
    from proving who they are there."""
    return f"session {session_id}"


def count_try(
    session: WriteSession,
    *,
    name_key: str,
    address: str,
    device: str = "",
    step: Step = "password",
) -> Counted:
    """Count a try as a wrong one; raises TooManyAttempts while a wait is on.

    device: the name of a known browser; "" for all others.

    Tries during a wait are refused unseen and do not make it longer.
    """
    now = clock.now()
    counters = list(_keys(name_key, address, device, step))
    rows = repository.lock(session, [key for key, _ in counters], now)
    left = max(
        (row.blocked_until - now for row in rows.values() if row.blocked_until),
        default=timedelta(0),
    )
    if left > timedelta(0):
        raise TooManyAttempts(_sentence(left))
    waits = False
    for key, policy in counters:
        waits = _count(rows[key], policy, now) or waits
    return Counted(waits=waits)


def forgive(
    session: WriteSession,
    *,
    name_key: str,
    address: str,
    device: str = "",
    step: Step = "password",
) -> None:
    """It was right: forget the wrong tries of this name; take back one of the address.
    A known browser answers for itself alone."""
    keys = {kind: key for key, kind in _kinds(name_key, address, device, step)}
    of_address = keys.pop("address", None)
    repository.forget(session, list(keys.values()))
    if of_address is not None:
        repository.take_back_one(session, of_address)


def _count(row: SignInBackoff, policy: Policy, now: datetime) -> bool:
    stale = now - row.last_failure_at > policy.forget_after
    row.failures = 1 if stale else row.failures + 1
    row.last_failure_at = now
    wait = policy.wait(row.failures)
    row.blocked_until = now + wait if wait else None
    return bool(wait)


def _keys(name_key: str, address: str, device: str, step: Step) -> Iterator[tuple[str, Policy]]:
    for key, kind in _kinds(name_key, address, device, step):
        yield key, POLICIES[kind]


def _kinds(name_key: str, address: str, device: str, step: Step) -> Iterator[tuple[str, str]]:
    where = forwarded.network(address)
    texts = {"name+address": f"{name_key}\0{where}", "name": name_key, "address": where}
    if device:
        texts = {"device": f"{device}\0code" if step == "code" else device}
    elif step == "code":
        texts = {"code": name_key, "address": where}
    for kind, text in texts.items():
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        yield f"{kind}:{digest}"[:80], kind


def _sentence(left: timedelta) -> str:
    seconds = math.ceil(left.total_seconds())
    return f"Too many tries. Wait {seconds} seconds, then try again."
