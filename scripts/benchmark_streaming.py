"""What reading recordings over the network costs: requests, bytes and time, on a local server with a delay.

    python -m scripts.benchmark_streaming [--delay 0.05] [--bandwidth 25] [--only annotate]

Three files of about 120 MB with 60 series each are written to a temporary folder and served by the DANDI test server
in a process of its own; every request waits, every connection delivers at most the bandwidth. Measured are: opening,
describing every series (`nwb_cascade.nwb.discover.inspect` without statistics), reading one series after opening,
opening again from the cache, and reading a file block by block while something else works on each block. The same for
fsspec's own file objects, as a yardstick. Last the whole of `annotate` on a series of 64 MB,
the same file local and remote, against transfer and inference on their own; the networks are a stand-in that waits, so
that inference takes about as long as transfer.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import fsspec
import h5py
import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.data_utils import DataChunkIterator
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, TimeSeries
from pynwb.ophys import DfOverF, RoiResponseSeries

from nwb_cascade.annotation import annotate as annotation
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.dandi.assets import find_asset
from nwb_cascade.dandi.stream import StreamSettings, open_remote
from nwb_cascade.inference_run import InferenceRun
from nwb_cascade.nwb.blocks import AHEAD_BYTES
from nwb_cascade.nwb.discover import find_candidates, inspect
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.read import open_traces
from nwb_cascade.options import InferenceOptions
from scripts.measuring import options_of
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.fake_runs import HalfAndWhole, fake_run
from tests.support.recordings import add_dff, add_plane, bare_nwbfile

N_SERIES, N_ROIS = 60, 50
MB = 1e6
SERIES_READ = "dff30"


# -- files -------------------------------------------------------------------------------------------------------------


def write_file(path: Path, n_frames: int, *, movie_mb: int = 0, described_first: bool = False) -> None:
    """Write 60 series of (n_frames, 50) float32, and a movie if asked for."""
    rng = np.random.default_rng(0)
    nwbfile = bare_nwbfile()
    table = add_plane(nwbfile, N_ROIS)
    if movie_mb:
        pixels = rng.integers(0, 4096, (movie_mb * 1_000_000 // 2,), np.uint16)
        nwbfile.add_acquisition(TimeSeries(name="movie", data=pixels, unit="n.a.", rate=1e5))
    container = DfOverF()
    nwbfile.processing["ophys"].add(container)
    for number in range(N_SERIES):
        data = rng.normal(size=(n_frames, N_ROIS)).astype(np.float32)
        rows = DataChunkIterator(data, buffer_size=n_frames // 8)
        container.add_roi_response_series(
            RoiResponseSeries(
                name=f"dff{number}",
                data=H5DataIO(rows, chunks=(n_frames // 8, N_ROIS)) if described_first else data,
                rois=table.create_roi_table_region("All.", region=list(range(N_ROIS))),
                unit="n.a.",
                rate=30.0,
            )
        )
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile, exhaust_dci=not described_first)


FILES: dict[str, Callable[[Path], None]] = {
    "a raw movie of 100 MB and 60 series of 0.3 MB": lambda path: write_file(path, 1500, movie_mb=102),
    "60 series of 2 MB, all descriptions first": lambda path: write_file(path, 10_000, described_first=True),
    "60 series of 2 MB, each beside its description": lambda path: write_file(path, 10_000),
}


# -- server ------------------------------------------------------------------------------------------------------------


def serve(path: Path, delay_s: float, bytes_per_s: float, pipe: Connection) -> None:
    """Serve one file until told to stop; answers each message with (requests, requests of the file, bytes)."""
    archive = Archive()
    archive.add("000001").add("sub-1/sub-1_ophys.nwb", path)
    with DandiServer(archive, delay_s=delay_s, bytes_per_s=bytes_per_s) as server:
        pipe.send(server.url)
        while pipe.recv() == "count":
            pipe.send((server.count(), server.count("^/blobs"), server.n_bytes()))


@dataclass
class Cost:
    """What something cost."""

    n_requests: int
    n_file_requests: int
    n_bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.n_requests} ({self.n_file_requests}) | {self.n_bytes / MB:.1f} | {self.seconds:.2f}"


class Meter:
    """A served file and what was asked of it."""

    def __init__(self, path: Path, delay_s: float, bytes_per_s: float) -> None:
        self.pipe, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=serve, args=(path, delay_s, bytes_per_s, other), daemon=True)
        self.process.start()
        self.url = self.pipe.recv()
        self.address = f"dandi://{self.url.removeprefix('http://')}/000001@draft/sub-1/sub-1_ophys.nwb"

    def close(self) -> None:
        self.pipe.send("stop")
        self.process.join()

    def count(self) -> tuple[int, int, int]:
        self.pipe.send("count")
        counted: tuple[int, int, int] = self.pipe.recv()
        return counted

    @contextmanager
    def cost(self) -> Iterator[Cost]:
        """Measure a block."""
        before, started = self.count(), time.perf_counter()
        cost = Cost(0, 0, 0, 0.0)
        yield cost
        cost.seconds = time.perf_counter() - started
        counted = zip(self.count(), before, strict=True)
        cost.n_requests, cost.n_file_requests, cost.n_bytes = (after - earlier for after, earlier in counted)


# -- what is measured --------------------------------------------------------------------------------------------------


def measure_file(meter: Meter) -> list[tuple[str, str]]:
    """Return (what, figures) for one file."""
    rows = []
    forget()
    with meter.cost() as opening:
        file = open_remote(meter.address)
        with open_nwb(file):
            pass
    rows.append(("open (find, open, read the structure)", str(opening)))
    with meter.cost() as describing:
        inspect(file, statistics=False)
    rows.append(("then describe all 60 series, with a sample of each", str(describing)))
    file.close()
    forget()
    with open_remote(meter.address) as file, open_nwb(file) as (nwbfile, _):
        dataset = nwbfile.processing["ophys"]["DfOverF"][SERIES_READ].data
        with meter.cost() as reading:
            file.prefetched(dataset)[:]
        stored = dataset.id.get_storage_size()
    rows.append(("open, then read one series", f"{reading} | {reading.n_bytes / stored:.2f} × stored"))
    asset = find_asset(meter.address)
    with meter.cost() as again, open_remote(asset) as file, open_nwb(file):
        pass
    rows.append(("open again, from the cache", str(again)))
    return rows


def measure_yardstick(meter: Meter, cached: bool) -> Cost:
    """Open the same file by fsspec alone and read its structure with pynwb."""
    url = find_asset(meter.address).storage_url
    with tempfile.TemporaryDirectory() as folder, meter.cost() as cost:
        options = {"fs": fsspec.filesystem("http"), "cache_storage": folder}
        filesystem = fsspec.filesystem("blockcache", **options) if cached else fsspec.filesystem("http")
        file = filesystem.open(url, block_size=4 * 2**20 if cached else None)
        with file, h5py.File(file, "r") as opened, NWBHDF5IO(file=opened, load_namespaces=True) as io:
            io.read()
    return cost


def measure_overlap(meter: Meter, work_s: float) -> tuple[float, float, float]:
    """Return seconds for fetching all series, for working on them, and for both; work is a stand-in that waits."""

    def read(work_s: float) -> float:
        forget()
        with open_remote(meter.address, StreamSettings(cache_limit_bytes=0)) as file, open_nwb(file) as (nwbfile, _):
            container: Any = nwbfile.processing["ophys"]["DfOverF"]
            arrays = [file.prefetched(container[f"dff{number}"].data) for number in range(8)]
            started = time.perf_counter()
            for array in arrays:
                for start in range(0, len(array), len(array) // 8):
                    array[start : start + len(array) // 8]
                    time.sleep(work_s)
            return time.perf_counter() - started

    return read(0.0), 64 * work_s, read(work_s)


@dataclass(frozen=True)
class Waiting(HalfAndWhole):
    """Networks that wait a while for every frame of every ROI."""

    seconds_per_value: float = 1.5e-7

    def __call__(
        self,
        traces: NDArray[np.float32],
        present: NDArray[np.bool_],
        noise_level: NDArray[np.float32],
        activity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        time.sleep(traces.size * self.seconds_per_value)
        return super().__call__(traces, present, noise_level, activity)


def waiting_run(imaging_rate: float, options: InferenceOptions) -> InferenceRun:
    """Stand in for `nwb_cascade.inference_run.prepare_run`."""
    networks = NetworkSet((2.0, 4.0), 2, lambda _level: Waiting())
    return replace(fake_run(imaging_rate, options), networks=networks)


def write_recording(path: Path) -> None:
    """Write one series of (20,000, 800) float32, compressed, in chunks of 8 ROIs, and a second one beside it."""
    rng = np.random.default_rng(0)
    nwbfile = bare_nwbfile()
    for name, n_rois in (("dff", 800), ("other", 80)):
        traces = rng.normal(scale=0.1, size=(20_000, n_rois)).astype(np.float32)
        add_dff(nwbfile, traces.T, name=name, chunks=(20_000, 8))
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)


def measure_annotation(path: Path, delay_s: float, bytes_per_s: float) -> Iterator[tuple[str, str]]:
    """Yield (what, figures) of annotating a recording that is local, and the same one remote."""
    annotation.prepare_run = waiting_run  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        annotate(path, sidecar=True, output=f"{folder}/warm-up.nwb", series="dff")
        inference = annotate(path, sidecar=True, output=f"{folder}/local.nwb", series="dff").seconds["infer"]
        yield "inference of the local file", f"- | - | {inference:.2f}"
        meter = Meter(path, delay_s, bytes_per_s)
        forget()
        with meter.cost() as transfer, open_remote(meter.address) as file, open_nwb(file) as (nwbfile, _):
            candidates = find_candidates(nwbfile, statistics=False)
            described = file.n_bytes
            traces = open_traces(nwbfile, next(c for c in candidates if c.name == "dff"))
            for _ in traces.blocks(AHEAD_BYTES):
                pass
            stored = nwbfile.processing["ophys"]["DfOverF"]["dff"].data.id.get_storage_size()
        yield "find, open, describe and read the remote one", str(transfer)
        forget()
        with meter.cost() as both:
            result = annotate(meter.address, output=f"{folder}/remote.nwb", series="dff")
        yield "annotate the remote one", str(both)
        meter.close()
    share, storing = (both.n_bytes - described) / stored, result.seconds["store"]
    yield "of that", f"{described / MB:.1f} MB of opening and describing, {share:.2f} × stored | | "
    ratio = (both.seconds - storing) / max(transfer.seconds, inference)
    yield "until all is inferred", f"{ratio:.2f} × the larger of both above; then storing takes {storing:.2f} s | | "


def forget() -> None:
    """Empty the cache."""
    shutil.rmtree(os.environ["NWB_CASCADE_CACHE"], ignore_errors=True)


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds that every request waits")
    parser.add_argument("--bandwidth", type=float, default=25.0, help="MB/s of each connection")
    parser.add_argument("--only", choices=["annotate"], help="measure only this")
    options = parser.parse_args()
    os.environ["DANDI_NO_ET"] = "1"
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NWB_CASCADE_CACHE"] = f"{folder}/cache"
        for name, write in {} if options.only else FILES.items():
            path = Path(folder) / "file.nwb"
            write(path)
            meter = Meter(path, options.delay, options.bandwidth * MB)
            print(f"\n### {name} ({path.stat().st_size / MB:.0f} MB)\n")
            print("| | requests (of the file) | MB | s | |\n| --- | --- | --- | --- | --- |")
            for what, figures in measure_file(meter):
                print(f"| {what} | {figures} |")
            for cached in (True, False):
                label = "`blockcache`, blocks of 4 MiB" if cached else "default"
                print(f"| fsspec {label}: open | {measure_yardstick(meter, cached)} |")
            fetching, working, both = measure_overlap(meter, 0.06)
            print(f"\nFetch 8 series in 64 blocks {fetching:.2f} s, work {working:.2f} s, both {both:.2f} s: ", end="")
            print(f"{both / max(fetching, working):.2f} × the larger.")
            meter.close()
        path = Path(folder) / "recording.nwb"
        write_recording(path)
        print("\n### annotate\n\n| | requests (of the file) | MB | s |\n| --- | --- | --- | --- |")
        for what, figures in measure_annotation(path, options.delay, options.bandwidth * MB):
            print(f"| {what} | {figures} |")


if __name__ == "__main__":
    main()
