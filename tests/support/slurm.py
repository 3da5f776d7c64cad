"""SLURM in tests, where somebody says that there is one; and work that workers of clusters do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nwb_cascade.archive.job import JobOutcome, Settings
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Job

# Asked by a variable, not by looking for sinfo: what is installed by chance must not decide what is tested.
needs_slurm = pytest.mark.skipif(
    os.environ.get("NWB_CASCADE_SLURM") != "1", reason="needs a SLURM that answers (NWB_CASCADE_SLURM=1)"
)


def wait_and_finish(job: Job, settings: Settings) -> JobOutcome:
    """Finish a job; the first waits for a file, so that its worker can be killed meanwhile.

    It stands in a module of its own because workers import it: a test's module would ask there what it needs.
    """
    out = Path(settings.out)
    (out.parent / f"working-{os.environ.get('SLURM_JOB_ID', '')}").touch()
    while job.address.endswith("sub-0.nwb") and not (out.parent / "go on").exists():
        time.sleep(0.05)
    ledger = Ledger(settings.out, lease_s=settings.lease_s)
    claim = ledger.claim(job.id)
    if claim is None:
        return JobOutcome(job.id, ledger.entry(job.id).state, is_new=False)
    with claim:
        (claim.folder / "x.nwb").write_text("x")
        claim.finish(claim.folder / "x.nwb", {"size": 1})
    return JobOutcome(job.id, "done")


def end_process(job: Job, settings: Settings) -> JobOutcome:
    """Leave a word and be gone, as a library does that finds no graphics card."""
    os.write(2, b"Fatal: no such library\n")
    os._exit(1)
