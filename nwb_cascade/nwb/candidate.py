"""Candidate: what is known of one ROI response series in an NWB file, ready for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nwb_cascade.core.stretches import Stretch
from nwb_cascade.core.wording import counted

KINDS = (
    "dff",
    "raw_fluorescence",
    "neuropil",
    "baseline",
    "denoised",
    "z_scored",
    "events",
    "bulk",
    "inferred",
    "unknown",
)
SCALES = ("fraction", "percent", "counts", "unknown")
ARBITRARY = "arbitrary"  # a scale that is asked for, where there is no dF/F
FACTORS = {"fraction": 1.0, "percent": 0.01, ARBITRARY: 1.0}  # what makes a value of a known scale a fraction


@dataclass(frozen=True)
class NoiseQuantiles:
    """Distribution over ROIs of the noise level, % Hz^-1/2; ``undefined`` counts the ROIs without one."""

    minimum: float
    q05: float
    q25: float
    median: float
    q75: float
    q95: float
    maximum: float
    undefined: int = 0


@dataclass(frozen=True)
class Candidate:
    """One series of traces of an NWB file: ``RoiResponseSeries``, ``MicroscopyResponseSeries``, or one that is named.

    Parameters
    ----------
    object_path, object_id, name, neurodata_type : str
        Where and what it is; ``object_path`` as in the file (``/processing/ophys/DfOverF/RoiResponseSeries``),
        ``object_id`` empty in a file that states none (NWB 2.0).
    kind : str
        One of `KINDS`.
    why : str
        The evidence for the kind, in words.
    n_rois, n_frames : int
        Shape of the traces, whatever the orientation in the file.
    region_problem : str
        Why the ROIs that the series names cannot be those of its traces; empty if they can.
    imaging_rate : float or None
        Frames per second, of most frames, Hz; None if the file has no usable rate.
    imaging_rate_why : str
        Where the rate comes from, or why there is none.
    stretches : tuple of Stretch
        Parts of the recording between pauses and changes of the rate, with dropped frames; empty where frames are
        even, or where only some timestamps were looked at.
    unit : str
        As stated in the file.
    scale : str
        One of `SCALES`: whether 0.5 or 50 means a change of 50 %, or whether the values are no dF/F at all.
    scale_why : str
        The evidence for the scale, in words.
    scale_stated : bool
        Whether the file itself states the scale (its unit says percent).
    conversion, offset : float
        A value is ``stored * conversion + offset``.
    transposed : bool or None
        Whether ROIs come first in the file; None if that cannot be told.
    nan_fraction : float or None
        Share of NaN among all values; None without statistics.
    noise_levels : NoiseQuantiles or None
        None without statistics, without a rate, or where a noise level means nothing (raw fluorescence, events).
    plane, plane_rate, indicator, location : str or float or None
        Name, imaging rate (Hz), indicator and location of the imaging plane, as stated.
    species, genotype : str or None
        Of the subject, as stated.
    roi_table : str or None
        Path of the table that describes the ROIs; None if the series names no ROIs.
    problems : tuple of str
        What is wrong or doubtful, one sentence each; empty if nothing was found.
    one_photon : str
        By what the traces are known to come from a one-photon microscope; empty if nothing says so.
    """

    object_path: str
    object_id: str
    name: str
    neurodata_type: str
    kind: str
    why: str
    n_rois: int
    n_frames: int
    region_problem: str
    imaging_rate: float | None
    imaging_rate_why: str
    stretches: tuple[Stretch, ...]
    unit: str
    scale: str
    scale_why: str
    scale_stated: bool
    conversion: float
    offset: float
    transposed: bool | None
    nan_fraction: float | None
    noise_levels: NoiseQuantiles | None
    plane: str | None
    plane_rate: float | None
    indicator: str | None
    location: str | None
    species: str | None
    genotype: str | None
    roi_table: str | None
    problems: tuple[str, ...]
    one_photon: str = ""

    @property
    def imaging_rates(self) -> tuple[float, ...]:
        """Every rate that occurs, Hz, ascending; none if the file has no usable one."""
        rates = {stretch.imaging_rate for stretch in self.stretches} or {self.imaging_rate or 0.0}
        return tuple(sorted(rate for rate in rates if rate))

    @property
    def identity(self) -> str:
        """What tells the series from others in all copies of its file: its id, or its path where it has none."""
        return self.object_id or self.object_path

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; no number in it is NaN."""
        values = asdict(self)
        values["problems"] = list(self.problems)
        return values

    def describe(self) -> str:
        """Return one line for lists of candidates."""
        rate = f"{self.imaging_rate:g} Hz" if self.imaging_rate else "no rate"
        shape = f"{counted(self.n_rois, 'ROI')}, {counted(self.n_frames, 'frame')}"
        return f"{self.object_path} ({self.kind}, {shape}, {rate})"
