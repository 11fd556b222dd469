"""How often a caller may call."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from time import monotonic as _now

_MOST_CALLERS = 10_000  # remembered


@dataclass(slots=True)
class Limit:
    """So many calls of one caller in so many seconds: a token bucket for each."""

    calls: int
    seconds: float
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, caller: str) -> float:
        """Count a call; the seconds to wait where it is one too many, else 0."""
        now = _now()
        left, last = self._buckets.pop(caller, (float(self.calls), now))
        left = min(self.calls, left + (now - last) * self.calls / self.seconds)
        self._buckets[caller] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        return 0 if left >= 1 else (1 - left) * self.seconds / self.calls
