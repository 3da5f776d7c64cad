"""Status: how the jobs of a manifest stand, by what the files say."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Manifest

RECENT_S = 600.0
STATES = ("done", "failed", "running", "interrupted", "pending")


@dataclass(frozen=True)
class FailureGroup:
    """Failures with the same cause: its class and sentence, how many, and some of the files."""

    kind: str
    cause: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """How a manifest stands.

    ``counts`` by state; ``per_second`` over the last ten minutes, 0 if nothing was done in them; ``seconds_left``
    None if that cannot be told.
    """

    total: int
    counts: dict[str, int]
    per_second: float
    seconds_left: float | None
    failures: tuple[FailureGroup, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def status_of(manifest: Manifest, ledger: Ledger) -> Status:
    """Look at every job of a manifest."""
    counts: Counter[str] = Counter()
    failures: dict[tuple[str, str], list[str]] = {}
    recent = []
    now = time.time()
    for job in manifest.jobs():
        entry = ledger.entry(job.id)
        counts[entry.state] += 1
        if entry.state == "failed":
            cause = general(str(entry.record.get("cause", "")), job.address)
            failures.setdefault((str(entry.record.get("kind", "")), cause), []).append(job.address)
        if entry.state in ("done", "failed") and now - (ended := float(entry.record.get("time", 0))) < RECENT_S:
            recent.append(ended - float(entry.record.get("seconds", 0)))
    per_second = len(recent) / max(now - min(recent), 1.0) if recent else 0.0
    left = sum(counts[state] for state in ("running", "interrupted", "pending"))
    groups = [
        FailureGroup(kind, cause, len(addresses), tuple(addresses[:3])) for (kind, cause), addresses in failures.items()
    ]
    return Status(
        total=counts.total(),
        counts={state: counts[state] for state in STATES},
        per_second=per_second,
        seconds_left=left / per_second if per_second else None,
        failures=tuple(sorted(groups, key=lambda group: -group.count)),
        skipped=dict(Counter(general(one.reason, one.address) for one in manifest.skipped()).most_common()),
    )


def general(cause: str, address: str) -> str:
    """Cut what is particular to one file out of a cause, so that equal causes can be counted.

    Examples
    --------
    >>> general("Expected traces in /data/sub-1.nwb, received 0 ROIs.", "/data/sub-1.nwb")
    'Expected traces in FILE, received 0 ROIs.'
    """
    name = re.split(r"[/\\]", address)[-1]
    for text in (address, name):
        cause = cause.replace(text, "FILE")
    cause = re.sub(r"\S*/jobs/[0-9a-f]{16}/attempt-\d+", "OUT", cause)
    return re.sub(r"\S*/FILE", "FILE", cause)
