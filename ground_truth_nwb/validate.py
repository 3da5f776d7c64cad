"""Check a folder of ground truth as DANDI does before an upload."""

from __future__ import annotations

import traceback
from pathlib import Path

from ground_truth_nwb.dandi_checks import Finding, dandi_findings
from ground_truth_nwb.nwb_read import read_nwb_cell
from ground_truth_nwb.progress import Progress
from ground_truth_nwb.write import DANDISET_FILE


def validate_dandiset(root: Path, *, progress: Progress | None = None) -> tuple[Finding, ...]:
    """Check ``dandiset.yaml`` and all NWB files of a folder; without a blocking finding it could be uploaded.

    Per file: DANDI's own checks (layout of names, metadata, NWB schema, and the critical checks of
    nwbinspector), and whether it reads back as a cell. Nothing is sent anywhere.

    Parameters
    ----------
    root : pathlib.Path
        Folder with ``dandiset.yaml``.
    progress : callable, optional
        Called as ``progress(done, total)`` after each file.

    Returns
    -------
    tuple of Finding
        In the order of paths.

    Raises
    ------
    LookupError
        If the folder is no dandiset or holds no NWB file.
    """
    if not Path(root, DANDISET_FILE).exists():
        raise LookupError(f"Expected {DANDISET_FILE} in {root}, it is missing. Pass the folder of a dandiset.")
    files = sorted(Path(root).glob("sub-*/*.nwb"))
    if not files:
        raise LookupError(f"Expected NWB files in {root} (sub-*/*.nwb), found none.")
    findings = list(dandi_findings(Path(root, DANDISET_FILE), root))
    for done, path in enumerate(files, start=1):
        findings += dandi_findings(path, root)
        findings += _reading_findings(path)
        if progress is not None:
            progress(done, len(files))
    return tuple(findings)


def _reading_findings(path: Path) -> list[Finding]:
    """Read one file as a cell."""
    try:
        read_nwb_cell(path)
    except Exception as error:  # one file's failure must not stop the others; it is recorded with its traceback
        details = "".join(traceback.format_exception(error))
        return [Finding(str(path), "ERROR", "GROUND_TRUTH.UNREADABLE", f"{error}\n{details}")]
    return []
