"""What DANDI says of a file before an upload: one complaint as one object."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BLOCKING = ("ERROR", "CRITICAL")


@dataclass(frozen=True)
class Finding:
    """One complaint about one file: its severity, the rule it breaks, what is wrong."""

    path: str
    severity: str
    rule: str
    message: str

    @property
    def blocks_upload(self) -> bool:
        """Whether DANDI would refuse the file; warnings and hints are advice."""
        return self.severity in BLOCKING


def dandi_findings(path: Path, root: Path) -> list[Finding]:
    """Ask dandi-cli about one file of the dandiset in ``root``; nothing is sent anywhere."""
    # dandi-cli reports its use to a public service unless this is set before it is imported.
    os.environ.setdefault("DANDI_NO_ET", "1")
    from dandi.files import dandi_file

    results = dandi_file(path, dandiset_path=root).get_validation_errors()
    return [
        Finding(str(path), str(getattr(result.severity, "name", result.severity)), str(result.id), str(result.message))
        for result in results
    ]
