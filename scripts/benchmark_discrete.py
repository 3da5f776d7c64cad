"""Speed and fit of discrete spikes; the figures of docs/discrete_spikes.md.

    python -m scripts.benchmark_discrete [--frames 6000] [--rois 200] [--threads 2] [--rates FILE.npz]

Prints frames per second at three firing rates for several kernels, per CPU second (which other work on the machine
hardly alters), as a ratio to the CPU time of SciPy's Gaussian filter on the same array in the same run, and the fit
error on these noise-free rates. With ``--rates`` (an array ``spike_prob`` of rates
at 30 Hz that carry a 25 ms Gaussian) also counts and fit errors on real rates, and for the first ROI the smallest fit
error that any train of conserved total could have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, gaussian_filter1d
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, eye_array, hstack

from nwb_cascade.core.kernels import smoothing_kernel
from nwb_cascade.core.spike_total import SPIKE_TOTALS
from nwb_cascade.discrete import discrete_spikes
from scripts.measuring import markdown_head, markdown_row, measured, options_of

KERNELS = [
    ("gaussian", 0.025, 30.0),
    ("gaussian", 0.05, 30.0),
    ("gaussian", 0.2, 7.5),
    ("gaussian", 0.1, 30.0),
    ("gaussian", 0.2, 30.0),
    ("causal", 0.05, 30.0),
    ("causal", 0.2, 30.0),
]
FIRING_RATES = (1.0, 5.0, 15.0)
COLUMNS = (
    "kernel", "rate", "firing", "Mframes/s", "per CPU second", "CPU time / filter's", "fit error", "found / true",
)  # fmt: skip


def shortest(repeats: int, call: Callable[[], object]) -> tuple[float, float]:
    """Least wall time and least CPU time (of all threads) of several calls, s."""
    costs = [measured(call) for _ in range(repeats)]
    return min(cost.wall_s for cost in costs), min(cost.cpu_s for cost in costs)


def measure_noise_free(n_rois: int, n_frames: int, n_threads: int, repeats: int) -> None:
    """Print one line per kernel and firing rate."""
    print(f"{n_rois} ROIs x {n_frames} frames, {n_threads} threads, best of {repeats}")
    print(markdown_head(COLUMNS))
    for name, smoothing_s, imaging_rate in KERNELS:
        kernel = smoothing_kernel(name, smoothing_s, imaging_rate)
        for firing_rate in FIRING_RATES:
            true = np.random.default_rng(0).poisson(firing_rate / imaging_rate, (n_rois, n_frames))
            rates = convolve1d(true.astype(np.float32), kernel, axis=1, mode="constant")

            find = partial(discrete_spikes, rates, kernel, imaging_rate, n_threads=n_threads)
            smooth = partial(gaussian_filter1d, rates, smoothing_s * imaging_rate, axis=1)
            found, (wall, cpu), (_, cpu_filter) = find(), shortest(repeats, find), shortest(repeats, smooth)
            spikes = sum(times.size for times in found.spike_times)
            what = (f"{name} {1000 * smoothing_s:g} ms", f"{imaging_rate:g} Hz", f"{firing_rate:g} Hz")
            speed = (f"{rates.size / wall / 1e6:.2f}", f"{rates.size / cpu / 1e6:.2f}", f"{cpu / cpu_filter:.0f}")
            fit = (f"{found.fit_error.mean():.4f}", f"{spikes} / {true.sum()}")
            print(markdown_row((*what, *speed, *fit)), flush=True)


def measure_real(path: Path, n_threads: int, repeats: int) -> None:
    """Print counts, fit errors and speed on real rates at 30 Hz with a 25 ms Gaussian."""
    rates = np.load(path)["spike_prob"]
    kernel = smoothing_kernel("gaussian", 0.025, 30.0)
    totals: NDArray[np.float64] = np.nansum(rates, axis=1, dtype=np.float64)
    for spike_total in SPIKE_TOTALS:
        find = partial(discrete_spikes, rates, kernel, 30.0, spike_total=spike_total, n_threads=n_threads)
        found, (wall, cpu) = find(), shortest(repeats, find)
        spikes = [times.size for times in found.spike_times]
        print(
            f"{path.name}, {spike_total}: ROI 0 has {spikes[0]} spikes (rates sum to {totals[0]:.2f}), fit error "
            f"{found.fit_error[0]:.3f}; all ROIs {sum(spikes)} spikes (sum {totals.sum():.0f}), pooled fit error "
            f"{found.fit_error @ totals / totals.sum():.3f}; {rates.size / wall / 1e6:.2f} Mframes/s, "
            f"{rates.size / cpu / 1e6:.2f} per CPU second"
        )
    first = rates[0][np.isfinite(rates[0])].astype(float)
    print(f"ROI 0, any {round(first.sum())} spikes: fit error at least {smallest_fit_error(first, kernel):.3f}")


def smallest_fit_error(rates: NDArray[np.float64], kernel: NDArray[np.float64]) -> float:
    """Lower bound on the fit error of every train that has the rounded sum of the rates as its count.

    With r the rates and s the smoothed counts, sum |s - r| = sum s + sum r - 2 sum min(s, r). As counts are whole
    numbers, min(s, r) is at most the sum over spikes of min(kernel, r), and at most r: a linear programme bounds it.
    """
    n_frames, reach = rates.size, kernel.size // 2
    spike, lag = np.meshgrid(np.arange(n_frames), np.arange(-reach, reach + 1), indexing="ij")
    inside = (spike + lag >= 0) & (spike + lag < n_frames)
    spike, lag = spike[inside], lag[inside]
    frame, weight = spike + lag, kernel[lag + reach]
    covers = coo_array((np.minimum(weight, rates[frame]), (frame, spike)), shape=(n_frames, n_frames))
    smoothed_sum = np.bincount(spike, weight, n_frames)
    result = linprog(
        np.concatenate([smoothed_sum, np.full(n_frames, -2.0)]),
        A_ub=hstack([-covers, eye_array(n_frames)]).tocsr(),
        b_ub=np.zeros(n_frames),
        A_eq=csr_array(np.concatenate([np.ones(n_frames), np.zeros(n_frames)])[None]),
        b_eq=[np.rint(rates.sum())],
        bounds=np.stack([np.zeros(2 * n_frames), np.concatenate([np.full(n_frames, np.inf), rates])], axis=1),
        method="highs",
    )
    return float((result.fun + rates.sum()) / rates.sum())


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--rois", type=int, default=200)
    parser.add_argument("--frames", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rates", type=Path)
    options = parser.parse_args()
    measure_noise_free(options.rois, options.frames, options.threads, options.repeats)
    if options.rates:
        measure_real(options.rates, options.threads, options.repeats)


if __name__ == "__main__":
    main()
