"""AnnotationResult: what annotating one recording did, for people, scripts and JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from nwb_cascade.preparation import RoiWarning


@dataclass(frozen=True)
class AnnotationResult:
    """What annotating one recording did, or would do.

    Parameters
    ----------
    path, output : str
        The recording, and the file that holds the result.
    run_name, object_path : str
        Name of the run and path of its series in the output; for matrices the name of the variable.
    series : str
        Path of the dF/F series that was read; for matrices the name of the variable, if it has one.
    model, model_sha256, reason : str
        The model, the hash of its weights, and why this one.
    indicator : str or None
        Indicator that the model was told.
    imaging_rate : float
        Rate of the recording, Hz.
    n_rois, n_frames : int
        Shape of the traces.
    run_key : str
        Hash of inputs, model and parameters.
    n_inferred : int
        ROIs with at least one value; 0 if nothing was computed.
    skipped : bool
        The output held this very run already; nothing was done.
    dry_run : bool
        Nothing was done because that was asked for.
    warnings : tuple of str
        What to know about the file.
    roi_warnings : tuple of RoiWarning
        What to know about single ROIs.
    seconds : dict of str to float
        Time that each stage took.
    """

    path: str
    output: str
    run_name: str
    object_path: str
    series: str
    model: str
    model_sha256: str
    reason: str
    indicator: str | None
    imaging_rate: float
    n_rois: int
    n_frames: int
    run_key: str
    n_inferred: int = 0
    skipped: bool = False
    dry_run: bool = False
    warnings: tuple[str, ...] = ()
    roi_warnings: tuple[RoiWarning, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return some lines that tell a person what was done."""
        what = f"{self.run_name} for {self.n_rois} ROIs, {self.n_frames} frames at {self.imaging_rate:g} Hz"
        lines = [f"{self._verb()} {self.output}: {what}.", f"  model: {self.reason}"]
        lines += [f"  note: {text}" for text in self.warnings]
        for code, count in Counter(warning.code for warning in self.roi_warnings).most_common():
            example = next(warning for warning in self.roi_warnings if warning.code == code)
            lines.append(f"  {count} of {self.n_rois} ROIs ({code}), such as ROI {example.roi}: {example.message}")
        return "\n".join(lines)

    def _verb(self) -> str:
        if self.skipped:
            return "Already in"
        return "Would write" if self.dry_run else "Wrote"
