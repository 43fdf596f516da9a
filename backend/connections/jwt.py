"""Reads a token's expiry locally, so that people hear of it before the systems refuse it.

Nothing is verified and nothing of the token is ever shown.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from backend.core import clock
from backend.integrations.openmetadata.tokens import expiry

WARN_AHEAD = timedelta(days=14)


def expired(secrets: Mapping[str, str]) -> tuple[str, datetime] | None:
    """The first secret whose time is over, and since when."""
    for field, value in secrets.items():
        ends = expiry(value)
        if ends is not None and ends <= clock.now():
            return field, ends
    return None


def ends(secrets: Mapping[str, str]) -> dict[str, str]:
    """When each secret ends that says so itself: its field → ISO time."""
    found = {field: expiry(value) for field, value in secrets.items()}
    return {field: at.isoformat() for field, at in found.items() if at is not None}


def warnings(known: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence per secret of `ends` that ends within 14 days from now or has ended."""
    found = []
    for field, said in known.items():
        ends = datetime.fromisoformat(said)
        left = ends - clock.now()
        if left > WARN_AHEAD:
            continue
        if left <= timedelta(0):
            found.append(f"The {field} expired on {ends:%Y-%m-%d at %H:%M} UTC.")
        else:
            when = f"in {left.days} days" if left.days > 1 else "within two days"
            found.append(f"The {field} expires {when}, on {ends:%Y-%m-%d at %H:%M} UTC; renew it.")
    return tuple(found)
