"""Discrete spikes of rates of any length: what the rates carry, how spikes are found, and the spikes themselves."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.joined import joined_grids
from nwb_cascade.core.kernels import smoothing_kernel
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.spike_total import SpikeTotal
from nwb_cascade.core.traces import TraceArray
from nwb_cascade.discrete import POOR_FIT, discrete_spikes
from nwb_cascade.errors import InputError
from nwb_cascade.inference_run import InferenceRun
from nwb_cascade.nwb.places import DEFAULT_RUN_NAME, SPIKES_KEY
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.provenance import canonical_json, software_versions
from nwb_cascade.results.result import SpikesResult

DEFAULT_NAME = "InferredSpikes"
METHOD_VERSION = 1  # raised when the same rates and options give other spikes
METHOD = (
    "nwb_cascade.discrete: the whole-number spike train whose smoothed counts per frame have the least squared "
    "difference from the rates; all arrangements are tried for small events, others are searched locally. "
)
TOTAL_IN_WORDS = {
    "conserved": "Every ROI gets the rounded sum of its rates, every event its own sum rounded up or down.",
    "supported": "Only spikes that bring the smoothed train closer to the rates.",
}
REMEDY = "Without it nobody knows what one spike looks like in these rates; infer them anew with nwb-cascade infer."
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class SpikesOptions:
    """What rates carry and how spikes are found in them: everything that changes the spikes.

    ``frames_early`` is 1 for rates that stand one frame early, as published by Cascade.
    """

    kernel: str
    smoothing_s: float
    imaging_rate: float
    spike_total: SpikeTotal = "conserved"
    frames_early: int = 0

    @classmethod
    def of(cls, run: InferenceRun, spike_total: SpikeTotal) -> SpikesOptions:
        """What the rates of a run carry."""
        return cls(run.kernel, run.smoothing_s, run.imaging_rate, spike_total, 1 if run.alignment == "published" else 0)

    def key(self, rates_run_key: str) -> str:
        """Equal for equal rates and options."""
        return hashlib.sha256(canonical_json(self._values(rates_run_key)).encode()).hexdigest()

    def parameters(self, rates_run_key: str) -> str:
        """JSON for the table; `key` is its ``spikes_key``."""
        values = {**self._values(rates_run_key), SPIKES_KEY: self.key(rates_run_key), "software": software_versions()}
        return canonical_json(values)

    def _values(self, rates_run_key: str) -> dict[str, Any]:
        values = {**asdict(self), "rates_run_key": rates_run_key, "method_version": METHOD_VERSION}
        values["imaging_rate_hz"] = values.pop("imaging_rate")
        return values

    @property
    def method(self) -> str:
        """The method in words."""
        return METHOD + TOTAL_IN_WORDS[self.spike_total]


@dataclass(frozen=True, eq=False)
class FoundSpikes:
    """Spike times per ROI, s on the file's clock, their fit errors (n_rois,) and the sum of all rates."""

    options: SpikesOptions
    times: tuple[NDArray[np.float64], ...]
    fit_error: NDArray[np.float32]
    expected: float

    def summary(self) -> dict[str, Any]:
        """The numbers of a `SpikesResult`."""
        known = self.fit_error[np.isfinite(self.fit_error)]
        return {
            "n_spikes": sum(times.size for times in self.times),
            "expected": self.expected,
            "fit_error": float(np.median(known)) if known.size else None,
            "n_poor": int((known > POOR_FIT).sum()),
        }


def find_spikes(
    rates: TraceArray,
    options: SpikesOptions,
    clock: FrameClock,
    *,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> FoundSpikes:
    """Find the discrete spikes of rates of any length, some ROIs at a time.

    Parameters
    ----------
    rates : TraceArray
        (n_rois, n_frames), expected spikes per frame.
    options : SpikesOptions
        What they carry, and the options of the search.
    clock : FrameClock
        When their frames were.
    n_threads : int, optional
        By default one per processor; the result does not depend on it.
    progress : callable, optional
        Called with the ROIs done and their total.
    """
    n_rois, n_frames = rates.shape
    threads = _available_processors() if n_threads is None else n_threads
    step = max(threads, BLOCK_BYTES // (4 * max(1, n_frames)))
    times: list[NDArray[np.float64]] = []
    errors, expected = [np.empty(0, np.float32)], 0.0
    for start in range(0, n_rois, step):
        block = np.asarray(rates[start : min(start + step, n_rois)], np.float32)
        of_block, fit_error = _of_block(block, options, clock, threads)
        times += of_block
        errors.append(fit_error)
        expected += float(np.nansum(np.maximum(block, 0), dtype=np.float64))
        if progress is not None:
            progress(len(times), n_rois)
    return FoundSpikes(options, tuple(times), np.concatenate(errors), expected)


def _of_block(
    block: NDArray[np.float32], options: SpikesOptions, clock: FrameClock, n_threads: int
) -> tuple[list[NDArray[np.float64]], NDArray[np.float32]]:
    """Spike times, s, and fit errors of some ROIs: those of every rate, each found on one grid."""
    found: list[list[NDArray[np.float64]]] = [[] for _ in block]
    misfit, total = np.zeros(len(block)), np.zeros(len(block))
    for grid in joined_grids(clock, block, lambda rate: 2 * _kernel(options, rate).size):
        kernel, rate = _kernel(options, grid.imaging_rate), grid.imaging_rate
        spikes = discrete_spikes(grid.values, kernel, rate, spike_total=options.spike_total, n_threads=n_threads)
        for of_roi, seconds in zip(found, spikes.spike_times, strict=True):
            of_roi.append(grid.times(seconds * rate + options.frames_early))
        mass = np.nansum(np.maximum(grid.values, 0), axis=1, dtype=np.float64)
        misfit += np.where(mass > 0, np.nan_to_num(spikes.fit_error) * mass, 0)
        total += mass
    errors = np.divide(misfit, total, out=np.full(len(block), np.nan), where=total > 0)
    return [np.sort(np.concatenate(of_roi)) for of_roi in found], errors.astype(np.float32)


def _kernel(options: SpikesOptions, imaging_rate: float) -> NDArray[np.float64]:
    """The smoothing that the rates carry at a rate, Hz."""
    return smoothing_kernel(options.kernel, options.smoothing_s, imaging_rate)


def spikes_result(
    path: str,
    output: str,
    run: str,
    table: str,
    options: SpikesOptions,
    found: FoundSpikes | None = None,
    *,
    n_rois: int = 0,
) -> SpikesResult:
    """Tell of spikes: of those that were found, or of what is going to be done for a number of ROIs."""
    return SpikesResult(
        path=path,
        output=output,
        run=run,
        object_path=table,
        spike_total=options.spike_total,
        kernel=options.kernel,
        smoothing_s=options.smoothing_s,
        imaging_rate=options.imaging_rate,
        n_rois=n_rois if found is None else len(found.times),
        **({} if found is None else found.summary()),
    )


def _available_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spikes_name(run_name: str) -> str:
    """Name of the table for a run.

    Examples
    --------
    >>> [spikes_name(name) for name in ("InferredSpikeRates", "InferredSpikeRates_plane0", "raw")]
    ['InferredSpikes', 'InferredSpikes_plane0', 'InferredSpikes_raw']
    """
    rest = run_name.removeprefix(DEFAULT_RUN_NAME)
    return DEFAULT_NAME + (rest if rest != run_name else f"_{run_name}")


def options_of(run: StoredRun, spike_total: SpikeTotal) -> SpikesOptions:
    """What a stored run says about the smoothing of its rates.

    Raises
    ------
    InputError
        If it names no kernel that is known here.
    """
    stored, place = run.parameters, f"{run.path}:{run.object_path}"
    kernel, smoothing_s = stored.get("kernel"), stored.get("smoothing_s")
    if kernel not in ("gaussian", "causal"):
        raise InputError(
            f"Expected the kernel 'gaussian' or 'causal' in run_parameters of {place}, found {kernel!r}. {REMEDY}"
        )
    if not isinstance(smoothing_s, (int, float)) or not 0 <= smoothing_s < np.inf:
        raise InputError(f"Expected smoothing_s in run_parameters of {place}, found {smoothing_s!r}. {REMEDY}")
    return SpikesOptions(
        kernel=str(kernel),
        smoothing_s=float(smoothing_s),
        imaging_rate=float(run.provenance.get("imaging_rate_hz") or run.imaging_rate),
        spike_total=spike_total,
        frames_early=1 if run.series.alignment == "published" else 0,
    )
