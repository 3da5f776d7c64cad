"""The ROIs of a recording as rows of its report: what the table says of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.roi_warnings import RoiWarning
from nwb_cascade.core.spike_counts import WholeCounts
from nwb_cascade.discrete import POOR_FIT
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.report.detail import PackedRoi, RoiTraces
from nwb_cascade.report.page import Column, Rows, known_numbers


@dataclass(frozen=True, eq=False)
class Seen:
    """What the first pass over the traces finds per ROI: seconds with a value, sum of the rates, discrete spikes."""

    frame_s: NDArray[np.float64]
    seconds: NDArray[np.float64]
    activity: NDArray[np.float64]
    n_spikes: NDArray[np.int64]

    @classmethod
    def nothing(cls, n_rois: int, clock: FrameClock) -> Seen:
        """Return zeros."""
        return cls(1 / clock.frame_rates, np.zeros(n_rois), np.zeros(n_rois), np.zeros(n_rois, np.int64))

    def add(self, roi: int, one: RoiTraces) -> None:
        """Note what one ROI holds."""
        self.seconds[roi] = self.frame_s[np.isfinite(one.rates)].sum()
        self.activity[roi] = np.nansum(one.rates, dtype=np.float64)
        self.n_spikes[roi] = one.spike_frames.size

    def expected(self) -> NDArray[np.float64]:
        """Return the expected spikes of each ROI (n_rois,), NaN for one without a value: it is no silent cell."""
        return np.where(self.seconds > 0, self.activity, np.nan)

    def mean_rates(self) -> NDArray[np.float64]:
        """Return the mean rate of each ROI (n_rois,) over the frames that have a value, Hz; NaN without any."""
        return np.asarray(self.expected() / np.where(self.seconds > 0, self.seconds, 1))


def rows_of(run: StoredRun, packed: Sequence[PackedRoi], seen: Seen, warnings: Sequence[RoiWarning]) -> Rows:
    """Return the ROIs as rows of the page; the busiest one that nothing is said of is shown first."""
    n_rois, _ = run.shape
    said = _sentences(warnings, n_rois)
    return Rows(
        name="ROI",
        ids=run.roi_ids.tolist(),
        imaging_rates=[run.imaging_rate] * n_rois,
        starts_s=[run.start_s] * n_rois,
        activity=seen.activity.tolist(),
        packed=packed,
        one_clock=True,
        columns=_columns(run, packed, seen, said),
        clock=run.clock,
        first=max(range(n_rois), key=lambda roi: (not said[roi], seen.activity[roi])),
    )


def poor_fits(run: StoredRun) -> Iterator[RoiWarning]:
    """Yield a warning of every ROI whose discrete spikes should not be read one by one."""
    errors = np.empty(0) if run.spikes is None else run.spikes.fit_errors()
    for roi in np.flatnonzero(errors > POOR_FIT):
        message = f"fit error {errors[roi]:.2f} of the discrete spikes: do not read this train spike by spike"
        yield RoiWarning(int(roi), "poor-fit", message)


def _columns(run: StoredRun, packed: Sequence[PackedRoi], seen: Seen, said: Sequence[str]) -> list[Column]:
    """What the table says of each ROI; of one without values nothing that a silent cell would have as well."""
    has_values = seen.seconds > 0
    columns = [
        Column("id", "ROI", run.roi_ids.tolist()),
        Column("noise", "Noise level ν", known_numbers(run.noise_levels), 2),
        Column("model_noise", "Model's ν", known_numbers(run.model_noise_levels), 2),
        Column("expected", "Expected spikes", known_numbers(seen.expected()), 1),
        Column("rate", "Mean rate (Hz)", known_numbers(seen.mean_rates()), 3),
        *_interval_columns(run.counts),
    ]
    if run.spikes is not None:
        counts = np.where(has_values, seen.n_spikes, np.nan)
        columns.append(Column("spikes", "Discrete spikes", known_numbers(counts), 0))
        columns.append(Column("fit_error", "Fit error", known_numbers(run.spikes.fit_errors()), 2))
    columns.append(Column("held", "Held here", [_held(one) for one in packed], is_number=False))
    if any(said):
        columns.append(Column("warnings", "Warnings", list(said), is_number=False))
    return columns


def _interval_columns(counts: WholeCounts | None) -> list[Column]:
    """Between which counts the spikes of each ROI lie, where that was stored."""
    if counts is None:
        return []
    share = f"{100 * counts.level:g} %"
    scaled = Column("count", f"Calibrated count (gain {counts.model.gain:.3g})", known_numbers(counts.expected), 1)
    return [
        *([scaled] if counts.model.is_calibrated else []),  # the rates are not scaled
        Column("at_least", f"At least ({share})", known_numbers(counts.lower), 0),
        Column("at_most", f"At most ({share})", known_numbers(counts.upper), 0),
    ]


def _sentences(warnings: Sequence[RoiWarning], n_rois: int) -> list[str]:
    """All that is said of each ROI."""
    said: list[list[str]] = [[] for _ in range(n_rois)]
    for warning in warnings:
        said[warning.roi].append(warning.message)
    return ["; ".join(messages) for messages in said]


def _held(one: PackedRoi) -> str:
    return "every frame" if one.frames_per_step == 1 else f"{one.frames_per_step} frames per step"
