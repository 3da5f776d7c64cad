"""Discrete spikes as comma-separated values: a line per spike."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEADER = ("roi_id", "spike_time_s", "fit_error")  # the first bytes of `nwb_cascade.files.kinds.SPIKES_TABLE`


def write_spikes_csv(
    path: Path, roi_ids: NDArray[np.int64], times: Iterable[NDArray[np.float64]], fit_error: NDArray[np.floating]
) -> None:
    """Write spike times, s, ROI by ROI; an ROI without spikes has no line.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    roi_ids, fit_error : numpy.ndarray
        (n_rois,); the error is empty in the file where it is NaN.
    times : iterable of numpy.ndarray
        One (n_spikes,) array per ROI, ascending, s on the clock of the recording.
    """
    with open(path, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(HEADER)
        for roi, of_roi, error in zip(roi_ids, times, fit_error, strict=True):
            misfit = f"{error:.3g}" if np.isfinite(error) else ""
            lines.writerows((int(roi), f"{time:.6f}", misfit) for time in of_roi)
