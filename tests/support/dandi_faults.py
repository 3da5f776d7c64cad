"""Faults that the DANDI test server injects: by a script, or by chance with a seed."""

from __future__ import annotations

import enum
import random
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


class Fault(enum.Enum):
    """What may go wrong with one request."""

    RESET = "connection reset before any answer"
    RATE_LIMIT = "status 429"
    UNAVAILABLE = "status 503"
    DROP = "connection closed in the middle of the body"
    TRUNCATE = "body shorter than asked for, with the length of what came"
    STALL = "silence in the middle of the body"
    EXPIRED = "status 403, as for a link that is no longer valid"
    ETAG = "another etag, as for a file that was replaced"


API_FAULTS = frozenset({Fault.RESET, Fault.RATE_LIMIT, Fault.UNAVAILABLE})
PASSING_FAULTS = frozenset(Fault) - {Fault.ETAG}


@dataclass
class Scripted:
    """A fault for the next `times` requests whose path matches."""

    fault: Fault
    pattern: str
    times: int


class Faults:
    """Decides which request fails and how.

    Parameters
    ----------
    probability : float
        Chance of a request to fail; it depends on the seed, the path and how often the path was asked for
        before, not on the order in which several clients call.
    kinds : iterable of Fault
        What a failure by chance may be; by default everything that a client can get over. For requests to the
        API only `API_FAULTS` are used.
    """

    def __init__(self, probability: float = 0.0, *, kinds: Iterable[Fault] = PASSING_FAULTS, seed: int = 0) -> None:
        self.probability = probability
        self._kinds = sorted(kinds, key=lambda fault: fault.name)
        self._seed = seed
        self._asked: Counter[str] = Counter()
        self._script: list[Scripted] = []
        self._lock = threading.Lock()
        self.retry_after_s = 0  # what a client that asks too often is told to wait

    def script(self, fault: Fault, pattern: str = "", *, times: int = 1) -> None:
        """Let the next requests fail whose path (with query) contains the regular expression."""
        self._script.append(Scripted(fault, pattern, times))

    def choose(self, target: str, *, is_storage: bool) -> Fault | None:
        """Return the fault of this request, if any."""
        with self._lock:
            for scripted in self._script:
                if scripted.times and re.search(scripted.pattern, target):
                    scripted.times -= 1
                    return scripted.fault
            path = target.partition("?")[0]
            self._asked[path] += 1
            chance = random.Random(f"{self._seed}:{path}:{self._asked[path]}")
        kinds = [kind for kind in self._kinds if is_storage or kind in API_FAULTS]
        return chance.choice(kinds) if kinds and chance.random() < self.probability else None
