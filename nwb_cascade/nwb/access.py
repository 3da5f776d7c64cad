"""Access: how the values of an open NWB file are read, and what the file is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nwb_cascade.nwb.files import NWBSource, source_name


@dataclass(frozen=True)
class Access:
    """How values are read.

    Parameters
    ----------
    name : str
        Path or address of the file, for messages and provenance.
    scratch_dir : path, optional
        Folder of the scratch files that large datasets need whose chunks span all ROIs.
    ahead : callable, optional
        Makes of an array of the file one that fetches by chunks, ahead of the reading: for remote files.
    """

    name: str = "the file"
    scratch_dir: str | Path | None = None
    ahead: Callable[[Any], Any] | None = None

    @classmethod
    def of(cls, source: NWBSource, scratch_dir: str | Path | None = None) -> Access:
        """Return how the values of a source are read; one that is remote has ``prefetched``."""
        return cls(source_name(source), scratch_dir, getattr(source, "prefetched", None))

    def array(self, data: Any) -> Any:
        """Return an array of the file as it is best read."""
        return data if self.ahead is None else self.ahead(data)
