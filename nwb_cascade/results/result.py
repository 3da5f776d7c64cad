"""AnnotationResult: what annotating one recording did, for people, scripts and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nwb_cascade.core.roi_warnings import RoiWarning, warning_kinds
from nwb_cascade.core.spike_counts import WholeCounts
from nwb_cascade.core.wording import counted, rounded
from nwb_cascade.discrete import POOR_FIT


@dataclass(frozen=True)
class SpikesResult:
    """What adding discrete spikes to a file did.

    Parameters
    ----------
    path, output : str
        The file with the rates, and the one that holds the spikes.
    run, object_path : str
        Paths of the rates and of the table of spikes.
    spike_total : {"conserved", "supported"}
        How spikes are counted, see `nwb_cascade.discrete.discrete_spikes`.
    kernel : str
        The smoothing that the rates carry.
    smoothing_s, imaging_rate : float
        Its standard deviation, s, and Hz.
    n_rois, n_spikes : int
        Spikes of all ROIs; 0 if nothing was computed.
    expected : float
        Sum of the rates.
    fit_error : float or None
        Median over ROIs; None if no ROI has one.
    n_poor : int
        ROIs with a fit error above 0.5, whose trains should not be read spike by spike.
    skipped : bool
        The output held these very spikes already; nothing was done.
    warnings : tuple of str
        What to know about the file.
    seconds : dict of str to float
        Time that each stage took.
    """

    path: str
    output: str
    run: str
    object_path: str
    spike_total: str
    kernel: str
    smoothing_s: float
    imaging_rate: float
    n_rois: int
    n_spikes: int = 0
    expected: float = 0.0
    fit_error: float | None = None
    n_poor: int = 0
    skipped: bool = False
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return some lines that tell a person what was done."""
        name = self.object_path.rsplit("/", 1)[-1]
        if self.skipped:
            return f"Already in {self.output}: {name} for {counted(self.n_rois, 'ROI')}."
        lines = [
            f"Wrote {self.output}: {name}, {counted(self.n_spikes, 'spike')} of "
            f"{counted(self.n_rois, 'ROI')}, whose rates sum to "
            f"{self.expected:.1f}."
        ]
        if self.fit_error is not None:
            poor = f"; {self.n_poor} above {POOR_FIT:g}: do not read those trains spike by spike" if self.n_poor else ""
            lines.append(f"  median fit error {self.fit_error:.2f}{poor}")
        return "\n".join([*lines, *(f"  note: {text}" for text in self.warnings)])


@dataclass(frozen=True)
class CountsResult:
    """Spike counts of a recording and their intervals, in short.

    Parameters
    ----------
    kind : {"met", "unmet"}
        What the networks know of such recordings, see `nwb_cascade.core.count_model.CountModel`.
    level : float
        Probability that the intervals state.
    gain : float
        What a calibration multiplied expected counts by; 1 without one.
    expected, lower, upper : float
        Medians over ROIs of the counts of the whole recording and of their bounds.
    """

    kind: str
    level: float
    gain: float
    expected: float
    lower: float
    upper: float

    @classmethod
    def of(cls, counts: WholeCounts | None) -> CountsResult | None:
        """Return the medians over ROIs; None if there are no counts."""
        if counts is None or not np.isfinite(counts.expected).any():
            return None
        medians = (float(np.nanmedian(one)) for one in (counts.expected, counts.lower, counts.upper))
        return cls(counts.model.kind, counts.level, counts.model.gain, *medians)

    def describe(self) -> str:
        """Return a line for a person."""
        calibrated = "" if self.gain == 1 else f", gain {self.gain:.3g}"
        return (
            f"counts: median ROI {rounded(self.expected, 3)} expected spikes, {self.lower:g} to {self.upper:g} with "
            f"{100 * self.level:g} % ({self.kind}{calibrated})"
        )


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
    spikes : SpikesResult or None
        The discrete spikes that were stored as well.
    dff : str
        How dF/F was computed from raw fluorescence, in words; empty if it was there.
    counts : CountsResult or None
        Spike counts with intervals; None if nothing was computed or no intervals were fitted for the model.
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
    spikes: SpikesResult | None = None
    dff: str = ""
    counts: CountsResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return some lines that tell a person what was done."""
        shape = f"{counted(self.n_rois, 'ROI')}, {counted(self.n_frames, 'frame')}"
        what = f"{self.run_name} for {shape} at {self.imaging_rate:g} Hz"
        lines = [f"{self._verb()} {self.output}: {what}.", f"  model: {self.reason}"]
        if self.dff:
            lines.append(f"  dF/F: computed from raw fluorescence, {self.dff}")
        lines += [f"  note: {text}" for text in self.warnings]
        for kind in warning_kinds(self.roi_warnings):
            concerned = f"{len(kind.rois)} of {counted(self.n_rois, 'ROI')} ({kind.code})"
            lines.append(f"  {concerned}, such as ROI {kind.example.roi}: {kind.example.message}")
        if self.counts is not None:
            lines.append(f"  {self.counts.describe()}")
        if self.spikes is not None:
            lines.append(f"  {self.spikes.describe()}")
        return "\n".join(lines)

    def _verb(self) -> str:
        if self.skipped:
            return "Already in"
        return "Would write" if self.dry_run else "Wrote"
