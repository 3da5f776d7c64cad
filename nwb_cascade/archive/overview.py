"""The overview of a derived dandiset: one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ground_truth_nwb.appearing import ANYBODY
from nwb_cascade.archive.manifest import Header
from nwb_cascade.archive.results import Row
from nwb_cascade.archive.status import Status
from nwb_cascade.core.wording import counted, natural_key
from nwb_cascade.pages import render, write_page
from nwb_cascade.provenance import SOFTWARE, canonical_json

COLUMNS = (  # of a row, its heading and its kind, see pages/templates/tables.html
    ("state", "State", "words"),
    ("path", "Result", "long"),
    ("source", "Source", "long"),
    ("indicator", "Indicator", "words"),
    ("imaging_rate_hz", "Hz", "number"),
    ("n_rois", "ROIs", "number"),
    ("n_inferred", "Inferred", "number"),
    ("n_frames", "Frames", "number"),
    ("roi_warnings", "Warnings", "number"),
    ("seconds", "Seconds", "number"),
    ("cause", "Cause", "long"),
)


def write_overview(path: Path, header: Header, status: Status, rows: Sequence[Row], *, mode: int = ANYBODY) -> None:
    """Write the page; it is there in full or not at all."""
    done = [row for row in rows if row.state == "done"]
    inferred, rois = (sum(getattr(row, name) or 0 for row in done) for name in ("n_inferred", "n_rois"))
    total = counted(status.total, "recording")
    counts = [(state.capitalize(), count) for state, count in status.counts.items()]
    html = render(
        "overview.html",
        title=f"Spike rates of {total}",
        lead=f"{len({row.job for row in done})} of {total} done: {inferred} of {counted(rois, 'ROI')} with values.",
        provenance=_provenance(header),
        counts=[*counts, ("Skipped by the plan", status.n_skipped)],
        failures=[(group.count, group.examples[0], group.kind, group.cause) for group in status.failures],
        skipped=[(group.count, group.examples[0], group.cause) for group in status.skipped],
        columns=COLUMNS,
        rows=[asdict(row) for row in sorted(rows, key=lambda row: natural_key(row.source))],
        shown=_shown,
    )
    write_page(html, path, mode=mode)


def _provenance(header: Header) -> list[tuple[str, str]]:
    models = [(f"Model {name}", f"weights {sha256}") for name, sha256 in sorted(header.models.items())]
    return [
        ("Planned", header.created),
        ("Sources", ", ".join(header.sources)),
        *models,
        ("Parameters", canonical_json(header.parameters) if header.parameters else "defaults"),
        ("Software", f"{SOFTWARE} {header.nwb_cascade}"),
    ]


def _shown(value: Any) -> str:
    """A value of a row; "–" where it is not known."""
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
