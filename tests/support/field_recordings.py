"""Recordings with masks, a picture of their plane, and trials: what a report shows beside traces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pynwb.base import Images
from pynwb.epoch import TimeIntervals
from pynwb.image import GrayscaleImage
from pynwb.ophys import DfOverF, RoiResponseSeries

from tests.support.recordings import add_plane, bare_nwbfile, write_recording

SIDE, RADIUS = (120, 90), 6  # of the plane and of an ROI, pixels along x and y
START_S, RATE_HZ = 1.25, 30.0


def centres(n_rois: int) -> NDArray[np.int64]:
    """Centres of the ROIs (n_rois, 2), x and y; later ROIs lie further to the left, in three rows."""
    roi = np.arange(n_rois)
    return np.stack([SIDE[0] - 10 - 13 * (roi // 3) - 3 * (roi % 3), 15 + 30 * (roi % 3)], axis=1)


def disc(centre: NDArray[np.int64]) -> list[tuple[int, int, float]]:
    """Pixels of one ROI, heaviest in the middle."""
    x, y = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    apart = np.hypot(x, y)
    inside = apart <= RADIUS
    return [
        (int(centre[0] + dx), int(centre[1] + dy), float(1 - 0.5 * r / RADIUS))
        for dx, dy, r in zip(x[inside], y[inside], apart[inside], strict=True)
    ]


def evoked_dff(n_rois: int, n_frames: int, events: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.float32]:
    """Noise, and a transient after each event, s, in every second ROI: (n_rois, n_frames) float32."""
    rng = np.random.default_rng(seed)
    dff = 0.05 * rng.standard_normal((n_rois, n_frames))
    decay = np.exp(-np.arange(30) / 10)
    for frame in np.rint((events - START_S) * RATE_HZ).astype(int):
        part = dff[::2, frame : frame + 30]
        part += decay[: part.shape[1]]
    return dff.astype(np.float32)


def field_recording(path: Path, n_rois: int = 9, n_frames: int = 3000, *, image_masks: bool = False) -> Path:
    """Write a recording with discs, a mean image among others, trials and a table of stimuli."""
    nwbfile = bare_nwbfile()
    table = add_plane(nwbfile, 0)
    for centre in centres(n_rois):
        if image_masks:
            mask = np.zeros(SIDE, np.float32)
            for x, y, weight in disc(centre):
                mask[x, y] = weight
            table.add_roi(image_mask=mask)
        else:
            table.add_roi(pixel_mask=disc(centre))
    events = START_S + np.arange(5, n_frames / RATE_HZ - 4, 4.0)
    module = nwbfile.processing["ophys"]
    module.add(DfOverF())
    module["DfOverF"].add_roi_response_series(
        RoiResponseSeries(
            name="RoiResponseSeries",
            data=evoked_dff(n_rois, n_frames, events).T,
            rois=table.create_roi_table_region("All ROIs.", region=list(range(n_rois))),
            unit="n.a.",
            rate=RATE_HZ,
            starting_time=START_S,
        )
    )
    module.add(
        Images(
            name="Pictures", images=[GrayscaleImage(name=name, data=_picture(n_rois, name)) for name in ("mean", "max")]
        )
    )
    nwbfile.add_trial_column("side", "Where it was.")
    for number, event in enumerate(events):
        nwbfile.add_trial(start_time=event, stop_time=event + 1.0, side="left" if number % 2 else "right")
    stimuli = TimeIntervals(name="gratings", description="Drifting gratings.")
    for event in events[::2]:
        stimuli.add_interval(start_time=event, stop_time=event + 0.5)
    nwbfile.add_time_intervals(stimuli)
    nwbfile.add_invalid_time_interval(start_time=1e6, stop_time=1e6 + 1)
    return write_recording(path, nwbfile)


def _picture(n_rois: int, name: str) -> NDArray[np.float32]:
    """A dim plane in which the ROIs are bright."""
    values = np.random.default_rng(len(name)).random(SIDE)
    for centre in centres(n_rois):
        for x, y, weight in disc(centre):
            values[x, y] += 2 * weight
    return values.astype(np.float32)
