"""Peak memory and time of annotating a large NWB file, each in a process of its own.

Writes a file of simulated noise and transients (frame by frame, as most tools store traces), annotates it with
``nwb-cascade infer`` and prints the peak resident memory of that process:

    python -m scripts.benchmark_memory --model Global_EXC_30Hz_smoothing25ms

The same peak for twice the frames is the point: memory does not grow with the recording.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.data_utils import DataChunkIterator
from numpy.typing import NDArray
from pynwb.ophys import DfOverF

from scripts.measuring import COMMAND, markdown_head, markdown_row, measured_process, options_of
from tests.support.recordings import add_plane, bare_nwbfile, write_recording

FRAMES_AT_ONCE = 2000


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--rois", type=int, default=1000)
    parser.add_argument("--frames", type=int, nargs="+", default=[80_000, 160_000])
    parser.add_argument("--imaging-rate", type=float, default=30.0)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--folder", type=Path, help="For the files; by default the system's temporary folder.")
    options = parser.parse_args()
    print(f"{options.rois} ROIs, model {options.model}, {os.cpu_count()} cores")
    print(markdown_head(("frames", "dF/F", "output", "peak memory", "time", "frames/s")))
    for n_frames in options.frames:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(Path(folder), options.rois, n_frames, options.imaging_rate, options.model)


def measure(folder: Path, n_rois: int, n_frames: int, imaging_rate: float, model: str) -> None:
    """Annotate one simulated recording and print a line."""
    recording, output = folder / "recording.nwb", folder / "annotated.nwb"
    write(recording, n_rois, n_frames, imaging_rate)
    cost = measured_process(COMMAND, "infer", recording, "-o", output, "--model", model)
    megabytes = (f"{size / 1e6:.0f} MB" for size in (4 * n_rois * n_frames, output.stat().st_size))
    peak, speed = f"{cost.peak_mb / 1024:.2f} GiB", n_rois * n_frames / cost.wall_s
    print(markdown_row((n_frames, *megabytes, peak, f"{cost.wall_s:.0f} s", f"{speed:.0f}")), flush=True)


def write(path: Path, n_rois: int, n_frames: int, imaging_rate: float) -> None:
    """Write simulated dF/F time first and contiguous, in pieces."""
    nwbfile = bare_nwbfile()
    rois = add_plane(nwbfile, n_rois)
    container = DfOverF()
    nwbfile.processing["ophys"].add(container)
    pieces = DataChunkIterator(
        frames(n_rois, n_frames), buffer_size=FRAMES_AT_ONCE, maxshape=(n_frames, n_rois), dtype=np.dtype("float32")
    )
    container.create_roi_response_series(
        name="RoiResponseSeries",
        data=H5DataIO(pieces, chunks=(min(n_frames, FRAMES_AT_ONCE), n_rois)),
        rois=rois.create_roi_table_region("all", region=list(range(n_rois))),
        unit="n.a.",
        rate=imaging_rate,
    )
    write_recording(path, nwbfile)


def frames(n_rois: int, n_frames: int) -> Iterator[NDArray[np.float32]]:
    """Frames of noise on decaying transients, one (n_rois,) array each; ROIs differ in noise."""
    rng = np.random.default_rng(0)
    noise = np.linspace(0.1, 0.5, n_rois, dtype=np.float32)
    calcium = np.zeros(n_rois, np.float32)
    for _ in range(n_frames):
        calcium *= np.float32(0.95)
        calcium += rng.random(n_rois, dtype=np.float32) < 0.02
        yield calcium + noise * rng.standard_normal(n_rois, dtype=np.float32)


if __name__ == "__main__":
    main()
