"""Replacement: a copy of a file that is added to and then takes the place of its target in one step."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import copy
from nwb_cascade.files.replace import beside, install, kept_from_writers, repair, stamp
from nwb_cascade.writers.targets import split_name


class Replacement:
    """A copy of ``source`` that will be the target; what others do to either from here on is noticed.

    ``repairs`` tells whether to bring back a target that a killed run left aside.
    """

    def __init__(self, source: Path, target: Path, *, repairs: bool = True) -> None:
        if repairs:
            repair(target)
        self.source, self.target = source, target
        self._stamps = stamp(source), stamp(target)
        self._prepared = target

    def kept_from_writers(self) -> AbstractContextManager[None]:
        """Keep other programs from writing to the source."""
        return kept_from_writers(self.source)

    def copied(self, work: Path, progress: Progress | None) -> Path:
        """Return the copy, beside a `nwb_cascade.files.replace.workplace` of the target."""
        self._prepared = beside(work, split_name(self.target.name)[1])
        copy(self.source, self._prepared, progress)
        return self._prepared

    def install(self) -> None:
        """Replace the target; raises InputError if somebody changed it or the source meanwhile."""
        if stamp(self.source) != self._stamps[0]:
            raise InputError(f"Another program changed {self.source} meanwhile; nothing was written. Run again.")
        install(self._prepared, self.target, expected=self._stamps[1])
