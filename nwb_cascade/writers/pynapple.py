"""Rates and spikes under the names that pynapple saves its own objects by: ``nap.load_file`` reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.readers.stored_runs import TIMES


def frames(clock: FrameClock, roi_ids: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return all of a ``TsdFrame`` but its values ``d``, (n_frames, n_rois): a column per ROI, an epoch per stretch.

    Parameters
    ----------
    clock : FrameClock
        When the frames were.
    roi_ids : numpy.ndarray
        (n_rois,) int64, names of the columns.
    """
    return {TIMES: clock.frame_times, "columns": roi_ids, **_epochs(clock), "type": np.array(["TsdFrame"])}


def trains(
    times: NDArray[np.float64], stops: NDArray[np.int64], clock: FrameClock, roi_ids: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return a ``TsGroup``: one train per ROI, also of those without a spike.

    Parameters
    ----------
    times : numpy.ndarray
        Spike times of all ROIs in a row, s.
    stops : numpy.ndarray
        (n_rois,) int64, where in it each ROI ends.
    clock, roi_ids
        As for `frames`.
    """
    index = np.repeat(roi_ids, np.diff(stops, prepend=0))
    return {TIMES: times, "index": index, "keys": roi_ids, **_epochs(clock), "type": np.array(["TsGroup"])}


def _epochs(clock: FrameClock) -> dict[str, NDArray[np.float64]]:
    """When the recording was on: from the first frame of a stretch to half a frame after its last."""
    known = clock.frame_times
    starts = known[[one.first for one in clock.stretches]]
    lasts = known[[one.stop - 1 for one in clock.stretches]]
    halves = np.array([0.5 / one.imaging_rate for one in clock.stretches])
    gaps = np.append(0.5 * (starts[1:] - lasts[:-1]), np.inf)
    return {"start": starts, "end": lasts + np.where(gaps > 0, np.minimum(halves, gaps), halves)}
