"""Time per frame of the online inference, beside the matrix products that it cannot do without.

    OPENBLAS_NUM_THREADS=1 python -m scripts.benchmark_online [--rois 1000 --rois 10000] [--frames 600] [--threads 1]

Frames of noise are pushed one after another, and in between the same products are taken without anything else, so that
a busy machine slows both alike. Printed are median and 99th percentile by wall clock and by the processor time of this
process, the ratio of its median to that of the products, and by how much memory grew.

    python scripts/benchmark_online.py --hour

An hour of 100 ROIs, simulated spikes in noise at 30 Hz: by how much memory grows after ten minutes, and by how much the
last minute differs from that minute alone after a warm-up.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.online_sizes import OnlineSizes
from nwb_cascade.models.library import load_model
from nwb_cascade.online.inference import BLOCK_ROIS, DEFAULT_MODEL, OnlineInference, OnlineOptions
from scripts.measuring import markdown_head, markdown_row, measured, options_of

RATE = 30.0
SETTLING = 300  # frames: until all rings have been written to, and noise levels change for few ROIs at a time


COLUMNS = (
    "ROIs", "threads", "ms", "99 %", "processor ms", "99 %", "by products", "MB of state", "kB more at the end",
)  # fmt: skip


def products(n_rois: int) -> Callable[[], None]:
    """The matrix products of one frame, on arrays of the same sizes."""
    sizes = OnlineSizes.from_network(load_model(DEFAULT_MODEL).config.network)
    shapes = [(sizes.first_filter_size * 3, sizes.channels)]
    shapes += [(sizes.filter_size * sizes.channels, sizes.channels)] * len(sizes.dilations)
    shapes += [(sizes.channels, sizes.hidden), (sizes.hidden, len(sizes.delays))]
    block = min(n_rois, BLOCK_ROIS)
    arrays = [
        (np.ones((block, n_in), np.float32), np.ones((n_in, n_out), np.float32), np.empty((block, n_out), np.float32))
        for n_in, n_out in shapes
    ]

    def once() -> None:
        for _ in range(-(-n_rois // block)):
            for x, kernel, out in arrays:
                np.matmul(x, kernel, out=out)

    return once


def measure(n_rois: int, n_frames: int, n_threads: int) -> str:
    """One line of the table."""
    online = OnlineInference(n_rois, RATE, indicator="jGCaMP8m", options=OnlineOptions(n_threads=n_threads))
    rng = np.random.default_rng(0)
    noise = 0.2 * rng.standard_normal((64, n_rois), dtype=np.float32)
    plain = products(n_rois)
    frames, alone = [], []
    first = 0
    for number in range(SETTLING + n_frames):
        one = measured(lambda number=number: online.push(noise[number % 64]))  # type: ignore[misc]
        if number >= SETTLING:
            frames.append((one.wall_s, one.cpu_s))
            alone.append(measured(plain).cpu_s)
        elif number == SETTLING - 1:
            first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, own = 1000 * np.array(frames).T
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first
    figures = (np.median(wall), np.percentile(wall, 99), np.median(own), np.percentile(own, 99))
    ratio = np.median(own) / np.median(alone) / 1000
    times = (f"{one:.2f}" for one in figures)
    return markdown_row((f"{n_rois:,}", n_threads, *times, f"{ratio:.1f}", f"{online.nbytes / 1e6:.0f}", grown))


def hour() -> str:
    """What an hour changes: memory, and what is given at its end."""
    n_rois, minute = 100, int(60 * RATE)
    n_frames, settled = 60 * minute, 10 * minute

    def frames(first: int) -> Iterator[NDArray[np.float32]]:
        dff = np.zeros(n_rois, np.float32)
        for number in range(n_frames):
            rng = np.random.default_rng(number)  # so that a run that begins later sees the same
            dff = 0.95 * dff + 0.5 * rng.poisson(0.02, n_rois).astype(np.float32)
            if number >= first:
                yield dff + 0.1 * rng.standard_normal(n_rois, dtype=np.float32)

    def last_minute(first: int) -> tuple[NDArray[np.float32], int]:
        online, peak = OnlineInference(n_rois, RATE, indicator="jGCaMP8m"), 0
        given = np.empty((minute, n_rois), np.float32)
        for number, frame in enumerate(frames(first), start=first):
            given[number % minute] = online.push(frame)
            if number == first + settled:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return given, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak

    whole, grown = last_minute(0)
    alone, _ = last_minute(n_frames - settled - minute)
    return (
        f"{n_frames:,} frames of {n_rois} ROIs: memory grew by {grown} kB after ten minutes; the last minute "
        f"differs by {np.abs(whole - alone).max():.1e} from the same after ten minutes of warm-up"
    )


def main() -> None:
    """Print the table."""
    parser = options_of(__doc__)
    parser.add_argument("--rois", type=int, action="append")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hour", action="store_true")
    arguments = parser.parse_args()
    if arguments.hour:
        print(hour())
        return
    print(markdown_head(COLUMNS))
    for n_rois in arguments.rois or (1_000, 10_000):
        print(measure(n_rois, arguments.frames, arguments.threads), flush=True)


if __name__ == "__main__":
    main()
