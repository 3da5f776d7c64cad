"""Status: how the jobs of a manifest stand, by what the files say."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Manifest

RECENT_S = 600.0
N_EXAMPLES = 3
STATES = ("done", "failed", "running", "interrupted", "pending")


@dataclass(frozen=True)
class Group:
    """Files that were skipped or failed for the same cause.

    Parameters
    ----------
    cause : str
        The sentence of the first of them, with its name.
    count : int
        How many there are.
    examples : tuple of str
        Addresses of some, the first of them first.
    kind : str
        Class of the error; empty for files that were skipped.
    """

    cause: str
    count: int
    examples: tuple[str, ...]
    kind: str = ""

    def in_words(self, what: str) -> str:
        """Return one line; ``what`` became of them, such as "failed"."""
        kind = f" ({self.kind})" if self.kind else ""
        name = "" if self.examples[0] in self.cause else f"{self.examples[0]}: "
        return f"{self.count} {what}{kind}, such as {name}{self.cause}"


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
    failures: tuple[Group, ...] = ()
    skipped: tuple[Group, ...] = ()

    @property
    def n_skipped(self) -> int:
        """Files that the plan made no job for."""
        return sum(group.count for group in self.skipped)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def status_of(manifest: Manifest, ledger: Ledger) -> Status:
    """Look at every job of a manifest."""
    counts: Counter[str] = Counter()
    failures = []
    recent = []
    now = time.time()
    for job in manifest.jobs():
        entry = ledger.entry(job.id)
        counts[entry.state] += 1
        if entry.state == "failed":
            failures.append((str(entry.record.get("kind", "")), str(entry.record.get("cause", "")), job.address))
        if entry.state in ("done", "failed") and now - (ended := float(entry.record.get("time", 0))) < RECENT_S:
            recent.append(ended - float(entry.record.get("seconds", 0)))
    per_second = len(recent) / max(now - min(recent), 1.0) if recent else 0.0
    left = sum(counts[state] for state in ("running", "interrupted", "pending"))
    return Status(
        total=counts.total(),
        counts={state: counts[state] for state in STATES},
        per_second=per_second,
        seconds_left=left / per_second if per_second else None,
        failures=grouped(failures),
        skipped=grouped(("", one.reason, one.address) for one in manifest.skipped()),
    )


def grouped(found: Iterable[tuple[str, str, str]]) -> tuple[Group, ...]:
    """Group (kind, cause, address) by kind and cause, whatever the files are called; the largest group first."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for kind, cause, address in found:
        groups.setdefault((kind, _general(cause, address)), []).append((cause, address))
    made = [
        Group(members[0][0], len(members), tuple(address for _, address in members[:N_EXAMPLES]), kind)
        for (kind, _), members in groups.items()
    ]
    return tuple(sorted(made, key=lambda group: -group.count))


def _general(cause: str, address: str) -> str:
    """Cut what is particular to one file out of a cause."""
    for text in (address, re.split(r"[/\\]", address)[-1]):
        cause = cause.replace(text, "FILE")
    cause = re.sub(r"\S*/jobs/[0-9a-f]{16}/attempt-\d+", "OUT", cause)
    return re.sub(r"\S*/FILE", "FILE", cause)
