"""A plane as suite2p writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.support.nwb_files import raw_fluorescence

N_ROIS, N_FRAMES, RATE = 4, 600, 30.0


def write_suite2p(folder: Path) -> Path:
    """A plane with the masks that neuroconv wants; the second ROI is no cell."""
    folder.mkdir(parents=True)
    np.save(folder / "F.npy", raw_fluorescence(N_ROIS, N_FRAMES))
    np.save(folder / "Fneu.npy", raw_fluorescence(N_ROIS, N_FRAMES, seed=1, rest=100.0))
    np.save(folder / "spks.npy", np.zeros((N_ROIS, N_FRAMES), np.float32))
    np.save(folder / "iscell.npy", np.array([[1.0, 0.9], [0.0, 0.1], [1.0, 0.9], [1.0, 0.9]]))
    ops: Any = {
        "fs": RATE,
        "neucoeff": 0.7,
        "Ly": 16,
        "Lx": 16,
        "nplanes": 1,
        "nframes": N_FRAMES,
        "meanImg": np.ones((16, 16)),
    }
    np.save(folder / "ops.npy", ops)
    stat = np.empty(N_ROIS, object)
    for roi in range(N_ROIS):
        pixels = np.array([roi, roi + 1])
        stat[roi] = {"ypix": pixels, "xpix": pixels, "lam": np.ones(2), "med": [roi, roi], "npix": 2}
    np.save(folder / "stat.npy", stat)
    return folder
