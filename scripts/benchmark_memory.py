"""Peak memory and time of annotating a large NWB file, each in a process of its own.

Writes a file of simulated noise and transients (frame by frame, as most tools store traces), annotates it with
``nwb-cascade infer`` and prints the peak resident memory of that process:

    python scripts/benchmark_memory.py --model Global_EXC_30Hz_smoothing25ms

The same peak for twice the frames is the point: memory does not grow with the recording.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.data_utils import DataChunkIterator
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel

FRAMES_AT_ONCE = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rois", type=int, default=1000)
    parser.add_argument("--frames", type=int, nargs="+", default=[80_000, 160_000])
    parser.add_argument("--imaging-rate", type=float, default=30.0)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--folder", type=Path, help="For the files; by default the system's temporary folder.")
    options = parser.parse_args()
    print(f"{options.rois} ROIs, model {options.model}, {os.cpu_count()} cores")
    print(f"{'frames':>8} {'dF/F':>9} {'output':>9} {'peak memory':>12} {'time':>8} {'frames/s':>10}")
    for n_frames in options.frames:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(Path(folder), options.rois, n_frames, options.imaging_rate, options.model)


def measure(folder: Path, n_rois: int, n_frames: int, imaging_rate: float, model: str) -> None:
    """Annotate one simulated recording and print a line."""
    recording, output = folder / "recording.nwb", folder / "annotated.nwb"
    write_recording(recording, n_rois, n_frames, imaging_rate)
    program = "from nwb_cascade.cli import main; main()"
    command = [sys.executable, "-c", program, "infer", str(recording), "-o", str(output), "--model", model]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"nwb-cascade infer failed with status {status}")
    print(
        f"{n_frames:8d} {4e-6 * n_rois * n_frames:6.0f} MB {output.stat().st_size / 1e6:6.0f} MB "
        f"{usage.ru_maxrss / 2**20:8.2f} GiB {seconds:6.0f} s {n_rois * n_frames / seconds:10.0f}",
        flush=True,
    )


def write_recording(path: Path, n_rois: int, n_frames: int, imaging_rate: float) -> None:
    """Write simulated dF/F time first and contiguous, in pieces."""
    nwbfile = NWBFile("Simulated for a benchmark.", "benchmark", datetime(2026, 1, 1, tzinfo=timezone.utc))
    plane = nwbfile.create_imaging_plane(
        name="plane",
        optical_channel=OpticalChannel(name="green", description="simulated", emission_lambda=510.0),
        description="simulated",
        device=nwbfile.create_device("simulator"),
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="simulated",
        imaging_rate=imaging_rate,
    )
    ophys = nwbfile.create_processing_module("ophys", "simulated")
    segmentation, container = ImageSegmentation(), DfOverF()
    ophys.add(segmentation)
    ophys.add(container)
    rois = segmentation.create_plane_segmentation("simulated", plane, name="rois")
    for roi in range(n_rois):
        rois.add_roi(pixel_mask=[(roi, 0, 1.0)])
    pieces = DataChunkIterator(
        frames(n_rois, n_frames), buffer_size=FRAMES_AT_ONCE, maxshape=(n_frames, n_rois), dtype=np.dtype("float32")
    )
    container.create_roi_response_series(
        name="RoiResponseSeries",
        data=H5DataIO(pieces, chunks=(min(n_frames, FRAMES_AT_ONCE), n_rois)),
        rois=rois.create_roi_table_region("all", region=list(range(n_rois))),
        unit="n.a.",
        rate=imaging_rate,
        description="Simulated dF/F as a fraction.",
    )
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)


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
