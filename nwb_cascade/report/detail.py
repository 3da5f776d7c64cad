"""How much of every ROI fits on a page: all ROIs in a few frames per step, and as many as possible in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.progress import Progress
from nwb_cascade.report.arrays import PackedArray
from nwb_cascade.report.steps import RoiSteps, fitting_unit, full_detail, quantise, unpack

OVERVIEW_SHARE = 0.5  # of the room; the rest is for ROIs in full
BYTES_PER_STEP = 1.0  # packed, a low guess: a coarser step is found from the finer one without reading again
FINE_UNITS, COARSE_UNITS = 16, 4  # of dF/F per standard deviation of the frame noise
FINE_BYTES_PER_FRAME = 2.5  # packed in full with fine units, a high guess
UNITS_PER_LARGEST_RATE = 250
BATCH_ROIS = 16


@dataclass(frozen=True, eq=False)
class RoiTraces:
    """One ROI as it is read.

    Parameters
    ----------
    rates : numpy.ndarray
        (n_frames,) expected spikes per frame, NaN where there is no value.
    dff, deviation : numpy.ndarray or None
        (n_frames,) dF/F as a fraction, and deviation over the ensemble; None if they are not known.
    spike_frames : numpy.ndarray
        (n_spikes,) float64, spike times after the first frame, in frames.
    noise_std : float
        Standard deviation of the noise of one frame, dF/F; NaN if unknown.
    """

    rates: NDArray[np.float32]
    dff: NDArray[np.float32] | None
    deviation: NDArray[np.float32] | None
    spike_frames: NDArray[np.float64]
    noise_std: float


@dataclass(frozen=True)
class PackedRoi:
    """One ROI as the page stores it: its arrays by name, frames per step, and what one unit of its numbers is."""

    arrays: Mapping[str, PackedArray]
    n_frames: int
    frames_per_step: int
    dff_unit: float
    rate_unit: float

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return -(-self.n_frames // self.frames_per_step)

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(len(array.packed) for array in self.arrays.values())

    def steps(self) -> RoiSteps:
        """Return what is packed."""
        return unpack(self.arrays, self.n_steps, self.frames_per_step)


def noise_units(n_frames: int, room: int) -> int:
    """Units of dF/F per standard deviation of the frame noise: fine ones where n_frames in all surely fit in full."""
    return FINE_UNITS if FINE_BYTES_PER_FRAME * n_frames <= room else COARSE_UNITS


def pack_roi(one: RoiTraces, frames_per_step: int = 1, units_per_noise_std: int = COARSE_UNITS) -> PackedRoi:
    """Quantise and pack one ROI.

    dF/F is rounded to parts of the standard deviation of the frame noise (of the largest value where that is not
    known), rates and deviations to 1/250 of the largest rate; units are larger where int16 would be too small.
    """
    rates, rate_unit = _quantised(one.rates, np.nan, one.deviation)
    deviation = None if one.deviation is None else quantise(one.deviation[None], np.array([rate_unit]))[0]
    dff, dff_unit = None, 1.0
    if one.dff is not None:
        dff, dff_unit = _quantised(one.dff, one.noise_std / units_per_noise_std)
    steps = full_detail(dff, rates, deviation, one.spike_frames).coarser(frames_per_step)
    return PackedRoi(steps.pack(), one.rates.size, frames_per_step, dff_unit, rate_unit)


def pack_rois(
    read: Callable[[int], RoiTraces],
    n_frames: Sequence[int],
    room: int,
    *,
    preferred: Sequence[int] = (),
    observe: Callable[[int, RoiTraces], None] = lambda roi, one: None,
    progress: Progress | None = None,
) -> list[PackedRoi]:
    """Pack all ROIs into a given room, those with most expected spikes in full.

    If all of them do not fit in full, all are packed at the least number of frames per step (a power of 2) at which
    they take half of the room, then the other half is filled with ROIs in full: the preferred ones first, then by
    the sum of their expected spikes.

    Parameters
    ----------
    read : callable
        Gives the traces of a ROI by its position; called in order once, then again for those packed in full.
    n_frames : sequence of int
        Frames of each ROI.
    room : int
        Bytes in all.
    preferred : sequence of int
        Positions of ROIs to pack in full before all others.
    observe : callable
        Called with every position and its traces during the first pass.
    progress : callable, optional
        Called with the ROIs done and their total during the first pass.
    """
    frames_per_step = 1
    longest = max(n_frames, default=0)
    while frames_per_step < longest and BYTES_PER_STEP * sum(-(-n // frames_per_step) for n in n_frames) > room:
        frames_per_step *= 2
    units = noise_units(sum(n_frames), room)
    activity = np.zeros(len(n_frames))
    packed: list[PackedRoi] = []
    for roi in range(len(n_frames)):
        one = read(roi)
        observe(roi, one)
        activity[roi] = float(np.nansum(one.rates))
        packed.append(pack_roi(one, frames_per_step, units))
        if progress is not None:
            progress(roi + 1, len(n_frames))
    while _size(packed) > (room if packed[0].frames_per_step == 1 else room * OVERVIEW_SHARE):
        if packed[0].frames_per_step >= longest:
            break
        packed = [_halved(one) for one in packed]
    if packed and packed[0].frames_per_step > 1:
        chosen = dict.fromkeys(preferred)
        ranking = [*chosen, *(roi for roi in np.argsort(-activity, kind="stable").tolist() if roi not in chosen)]
        _fill(packed, ranking, lambda roi: pack_roi(read(roi), 1, units), room - _size(packed))
    return packed


def _fill(packed: list[PackedRoi], ranking: Sequence[int], pack: Callable[[int], PackedRoi], room: int) -> None:
    """Replace ROIs by the same in full, in the order of a ranking, until the room is used up."""
    for first in range(0, len(ranking), BATCH_ROIS):
        batch = ranking[first : first + BATCH_ROIS]
        full = {roi: pack(roi) for roi in sorted(batch)}
        for roi in batch:
            room -= full[roi].n_bytes - packed[roi].n_bytes
            if room < 0:
                return
            packed[roi] = full[roi]


def _halved(one: PackedRoi) -> PackedRoi:
    """The same ROI at twice the frames per step, from what is packed."""
    steps = one.steps().coarser(2)
    return PackedRoi(steps.pack(), one.n_frames, steps.frames_per_step, one.dff_unit, one.rate_unit)


def _size(packed: Sequence[PackedRoi]) -> int:
    return sum(one.n_bytes for one in packed)


def _quantised(
    values: NDArray[np.float32], wanted: float, beside: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.int16], float]:
    """One trace in whole units, and the unit; without a wanted unit a 250th of the largest value."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    if not (np.isfinite(wanted) and wanted > 0):
        wanted = largest / UNITS_PER_LARGEST_RATE
    both = values if beside is None else np.concatenate([values, beside])
    unit = fitting_unit(both[None], np.array([wanted]))
    return quantise(values[None], unit)[0], float(unit[0])
