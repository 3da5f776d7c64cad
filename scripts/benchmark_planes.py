"""Time of `--series all` on several planes against one run over the same traces in one series.

    python scripts/benchmark_planes.py

Writes two files with the same traces, as planes and as a single series, and annotates them in turn, each in a process
of its own. Ratios of processor time hardly depend on what else the machine does; those of wall time do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel, RoiResponseSeries

from ground_truth_nwb.simulate import simulate_population

RATE = 30.0


def main() -> None:
    """Print the times of every repetition and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planes", type=int, default=8)
    parser.add_argument("--rois", type=int, default=100, help="Of each plane.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    rng, n_rois = np.random.default_rng(0), asked.planes * asked.rois
    dff, _ = simulate_population(
        rng, n_rois, indicator="GCaMP6f", imaging_rate=RATE, duration_s=60 * asked.minutes, noise_level=2.0
    )
    print(f"{asked.planes} planes of {asked.rois} ROIs, {dff.shape[1]} frames")
    print(f"{'':>8} {'planes, CPU s':>14} {'one, CPU s':>11} {'ratio':>6} {'planes, s':>10} {'one, s':>7} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planes, one = folder / "planes.nwb", folder / "one.nwb"
        write(planes, np.array_split(dff, asked.planes))
        write(one, [dff])
        for number in range(asked.repeats):
            (many_cpu, many), (one_cpu, alone) = measured(planes, "--series", "all"), measured(one)
            print(
                f"{number + 1:>8} {many_cpu:14.1f} {one_cpu:11.1f} {many_cpu / one_cpu:6.2f} {many:10.1f} {alone:7.1f} "
                f"{many / alone:6.2f}",
                flush=True,
            )


def measured(recording: Path, *options: str) -> tuple[float, float]:
    """Annotate a recording; returns processor time and wall time, s."""
    output = recording.with_name("output.nwb")
    output.unlink(missing_ok=True)
    program = "from nwb_cascade.cli import main; main()"
    command = [sys.executable, "-c", program, "infer", str(recording), "-o", str(output), *options]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"nwb-cascade infer failed with status {status}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - started


def write(path: Path, planes: list[NDArray[np.float32]]) -> None:
    """Write traces as one series per plane."""
    start = datetime(2024, 5, 1, tzinfo=timezone.utc)
    nwbfile = NWBFile(session_description="Simulated.", identifier=path.stem, session_start_time=start)
    device = nwbfile.create_device("microscope")
    module = nwbfile.create_processing_module("ophys", "Simulated dF/F.")
    segmentation, container = ImageSegmentation(), DfOverF()
    module.add([segmentation, container])
    for number, dff in enumerate(planes):
        plane = nwbfile.create_imaging_plane(
            name=f"imaging{number}",
            optical_channel=OpticalChannel(name="green", description="Emission.", emission_lambda=510.0),
            description="Simulated.",
            device=device,
            excitation_lambda=920.0,
            indicator="GCaMP6f",
            location="V1",
            imaging_rate=RATE,
        )
        table = segmentation.create_plane_segmentation(name=f"rois{number}", description="ROIs.", imaging_plane=plane)
        for roi in range(len(dff)):
            table.add_roi(pixel_mask=[(roi, roi, 1.0)])
        region = table.create_roi_table_region("All ROIs.", region=list(range(len(dff))))
        container.add_roi_response_series(
            RoiResponseSeries(name=f"plane{number}", data=dff.T, rois=region, unit="n.a.", rate=RATE)
        )
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)


if __name__ == "__main__":
    main()
