"""Size, time and memory of a report, and how fast a browser draws it; the figures of docs/benchmarks.md.

    python -m scripts.benchmark_report [--rois 2000] [--frames 100000] [--folder DIR]

Writes a simulated recording with a run of rates (no model is needed), makes its page in a process of its own, and opens
that in headless Chromium if it is installed. Needs 8 bytes of disk per ROI and frame.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.kernels import gaussian_kernel, smooth
from nwb_cascade.nwb.write import write_runs
from scripts.measuring import options_of
from tests.support.recordings import bare_nwbfile, write_recording
from tests.support.run_records import run_record

RATE = 30.0
MEASURE = """
import json, resource, sys, time
from nwb_cascade.report import write_report
start = time.perf_counter()
page = write_report(sys.argv[1], sys.argv[2])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": time.perf_counter() - start, "cpu": used.ru_utime, "peak_mb": used.ru_maxrss / 1024,
                  "page_mb": page.stat().st_size / 1e6}))
"""


class Simulated:
    """Traces (n_rois, n_frames) made when they are read: dF/F with noise, or the rates of the same spikes."""

    def __init__(self, n_rois: int, n_frames: int, *, rates: bool) -> None:
        self.shape = (n_rois, n_frames)
        self._rates = rates
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        rois, frames = key if isinstance(key, tuple) else (key, slice(None))
        rows = [self._row(roi)[frames] for roi in np.arange(self.shape[0])[rois]]
        return np.array(rows, np.float32)

    def _row(self, roi: int) -> NDArray[np.float32]:
        rng = np.random.default_rng(roi)
        spikes = rng.poisson(rng.uniform(0.05, 1.0) / RATE, self.shape[1]).astype(np.float32)
        if self._rates:
            return smooth(spikes, kernel=gaussian_kernel(0.05, RATE))
        decay = np.exp(-np.arange(60) / 15.0, dtype=np.float32)
        noise = 0.1 * rng.standard_normal(spikes.size, np.float32)
        return np.asarray(np.convolve(spikes, decay)[: spikes.size] + noise, np.float32)


def main() -> None:
    """Write the recording, make the page, open it."""
    parser = options_of(__doc__)
    parser.add_argument("--rois", type=int, default=2000)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="for temporary files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path, page = Path(folder) / "recording.nwb", Path(folder) / "report.html"
        write_simulated(path, options.rois, options.frames)
        print(f"{options.rois} ROIs x {options.frames} frames, {path.stat().st_size / 1e6:.0f} MB", flush=True)
        run = subprocess.run([sys.executable, "-c", MEASURE, path, page], capture_output=True, text=True, check=True)
        found = json.loads(run.stdout.splitlines()[-1])
        print(", ".join(f"{name} {value:.1f}" for name, value in found.items()), flush=True)
        look(page, Path(folder) / "profile", options.rois)


def write_simulated(path: Path, n_rois: int, n_frames: int) -> None:
    """A recording with dF/F in chunks of one ROI, and a run."""
    from hdmf.backends.hdf5 import H5DataIO
    from pynwb.ophys import DfOverF, RoiResponseSeries

    from nwb_cascade.nwb.storage import TimeFirst
    from tests.support.recordings import add_plane

    nwbfile = bare_nwbfile()
    table = add_plane(nwbfile, n_rois)
    series = RoiResponseSeries(
        name="RoiResponseSeries",
        data=H5DataIO(TimeFirst(Simulated(n_rois, n_frames, rates=False))),
        rois=table.create_roi_table_region("All ROIs.", region=list(range(n_rois))),
        unit="n.a.",
        rate=RATE,
    )
    nwbfile.processing["ophys"].add(DfOverF())
    nwbfile.processing["ophys"]["DfOverF"].add_roi_response_series(series)
    write_recording(path, nwbfile)
    rates = Simulated(n_rois, n_frames, rates=True)
    valid = np.tile(np.array([[0, n_frames]], np.int64), (n_rois, 1))
    levels = np.full(n_rois, 2.0, np.float32)
    record = run_record(
        path, n_rois, 1, expected_spikes=rates, ensemble_std=None, valid_frames=valid, noise_levels=levels,
        model_noise_levels=levels, roi_warnings=(),
    )  # fmt: skip
    write_runs(path, [record])


def look(page: Path, profile: Path, n_rois: int) -> None:
    """Time from opening the page until it is drawn, and from a choice of an ROI until its traces are."""
    from tests.support.browser import chromium, open_page, wait_for

    with chromium(profile) as browser:
        start = time.perf_counter()
        open_page(browser, page)
        opened = time.perf_counter() - start
        times = []
        for roi in np.linspace(1, n_rois - 1, 10).astype(int).tolist():
            start = time.perf_counter()
            browser.execute_script(
                "const f = document.getElementById('pick'); f.value = arguments[0];"
                "f.dispatchEvent(new Event('change', {bubbles: true}))",
                str(roi),
            )
            wait_for(browser, f"return document.getElementById('traces').dataset.row === '{roi}'")
            times.append(time.perf_counter() - start)
        print(f"browser: page drawn in {opened:.1f} s, an ROI in {1000 * np.median(times):.0f} ms (median of 10)")


if __name__ == "__main__":
    main()
