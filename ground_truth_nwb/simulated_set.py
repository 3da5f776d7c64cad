"""The small simulated dandiset that ships with the package, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np

from ground_truth_nwb.cells import Cell
from ground_truth_nwb.simulate import simulate_cell
from ground_truth_nwb.write import write_cell, write_dandiset_file

NAME = "Simulated ground truth"
DESCRIPTION = (
    "Four simulated cells: spike trains with bursts and drifting rates, indicator kinetics, saturation, baseline "
    "drift, neuropil, photon and read noise, frame jitter. For tests and examples; no measurement."
)
SEED = 20261121


def simulated_set_folder() -> Path:
    """Return the folder of the simulated dandiset that is installed with the package."""
    return Path(str(files("ground_truth_nwb").joinpath("simulated")))


def simulate_set() -> Iterator[Cell]:
    """Yield the cells of the simulated set; the same ones every time."""
    rng = np.random.default_rng(SEED)
    yield simulate_cell(rng, indicator="GCaMP6f", noise_level=2.0, duration_s=60.0, cell_id="GCaMP6f")
    yield simulate_cell(rng, indicator="GCaMP6s", noise_level=4.0, duration_s=30.0, n_trials=3, cell_id="GCaMP6s")
    yield simulate_cell(
        rng,
        indicator="jGCaMP8m",
        imaging_rate=120.0,
        noise_level=2.0,
        duration_s=40.0,
        frame_jitter_s=2e-5,
        cell_id="jGCaMP8m",
    )
    yield simulate_cell(
        rng, indicator="OGB-1", imaging_rate=7.5, noise_level=1.5, duration_s=120.0, firing_rate_hz=0.3, cell_id="OGB-1"
    )


def write_simulated_set(root: Path) -> tuple[Path, ...]:
    """Write the simulated set into a folder and return the paths of its NWB files."""
    write_dandiset_file(root, name=NAME, description=DESCRIPTION)
    return tuple(write_cell(cell, root) for cell in simulate_set())
