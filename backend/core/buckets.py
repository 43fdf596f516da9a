"""Token buckets: so many at once, and then so many a minute, of each caller.

Each process counts for itself, in memory: a limit against floods, not an account of use.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: Callers remembered; the longest silent one is forgotten first.
MAX_CALLERS = 10_000


@dataclass
class _Bucket:
    left: float
    at: float


class Buckets:
    """at_once: how many a caller that was silent may take; the bucket fills with per_minute."""

    def __init__(
        self, *, at_once: int, per_minute: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_once, self._per_minute = at_once, per_minute
        self._now = now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str) -> float:
        """Seconds to wait, 0.0 when there was one left to take."""
        now, rate = self._now(), self._per_minute / 60
        bucket = self._remember(caller)
        bucket.left = min(self._at_once, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1:
            return (1 - bucket.left) / rate
        bucket.left -= 1
        return 0.0

    def _remember(self, caller: str) -> _Bucket:
        bucket = self._buckets.setdefault(caller, _Bucket(self._at_once, self._now()))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return bucket
