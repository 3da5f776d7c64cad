"""dF/F of traces in memory, ROI by ROI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nwb_cascade.core.stretches import Stretch
from nwb_cascade.core.traces import require_matrix, require_rate
from nwb_cascade.dff.baseline import bridge, noise_std, running_baseline, window_frames
from nwb_cascade.dff.method import DffMethod
from nwb_cascade.dff.neuropil import neuropil_factor
from nwb_cascade.errors import InputError


@dataclass(frozen=True, eq=False)
class DffResult:
    """dF/F with the outcome for every ROI.

    Parameters
    ----------
    dff : numpy.ndarray
        (n_rois, n_frames) float32, fraction. NaN at frames that were left out and for excluded ROIs.
    neuropil_factor : numpy.ndarray
        (n_rois,) float32, factor by which the neuropil was subtracted (0: not at all).
    lowest_baseline : numpy.ndarray
        (n_rois,) float32, smallest value of the baseline, in the units of the fluorescence, as the guard saw it.
    offset : numpy.ndarray
        (n_rois,) float32, what was added to the fluorescence: the method's own offset and neuropil restored by the
        guard.
    outcomes : tuple of str
        One code per ROI: ``ok``; ``restored``, ``floored``, ``excluded`` for what the guard did; ``no-data`` if no
        frame could be used.
    method : DffMethod
        As given.
    """

    dff: NDArray[np.float32]
    neuropil_factor: NDArray[np.float32]
    lowest_baseline: NDArray[np.float32]
    offset: NDArray[np.float32]
    outcomes: tuple[str, ...]
    method: DffMethod

    def messages(self) -> dict[int, str]:
        """Sentence for every ROI whose outcome is not ``ok``, by row."""
        return {roi: f"ROI in row {roi}: {text}" for roi, text in self.explanations().items()}

    def explanations(self) -> dict[int, str]:
        """What happened to every ROI whose outcome is not ``ok``, by row."""
        least = f"{100 * self.method.least_baseline:g} % of its median fluorescence"
        texts = {
            "restored": "its baseline fell to {low:.4g}, not above " + least + ": {offset:.4g} was added to it.",
            "floored": "its baseline fell to {low:.4g}, not above " + least + ": the noise limits the divisor.",
            "excluded": "its baseline fell to {low:.4g}, not above "
            + least
            + ": dF/F is undefined, set to NaN (another guard may keep it).",
            "no-data": "it has no finite frame that was not left out.",
        }
        return {
            roi: texts[code].format(low=self.lowest_baseline[roi], offset=self.offset[roi])
            for roi, code in enumerate(self.outcomes)
            if code != "ok"
        }


def compute_dff(
    fluorescence: ArrayLike,
    imaging_rate: float,
    method: DffMethod,
    *,
    neuropil: ArrayLike | None = None,
    bad_frames: ArrayLike | None = None,
    stretches: Sequence[Stretch] = (),
) -> DffResult:
    """Turn raw fluorescence into dF/F, ROI by ROI.

    Frames that are NaN (in fluorescence or neuropil) or marked bad stay NaN; for the baseline they are bridged by
    straight lines. Traces are mirrored at their ends for the running baseline. Stretches between pauses have baselines
    of their own; they share the factor of the neuropil and the outcome.

    Parameters
    ----------
    fluorescence : array_like
        (n_rois, n_frames), raw fluorescence in any unit; may be memory-mapped.
    imaging_rate : float
        Hz.
    method : DffMethod
        What to do.
    neuropil : array_like, optional
        Like ``fluorescence``, in the same unit. Needed unless ``method.neuropil`` is ``none``, then unused.
    bad_frames : array_like, optional
        (n_frames,) bool, frames to leave out, for example because of motion.
    stretches : sequence of Stretch, optional
        All frames, in parts that were taken without a pause, each with its rate; by default they are one.

    Returns
    -------
    DffResult

    Raises
    ------
    InputError
        If shapes do not agree, the rate is not positive or the neuropil is missing.

    Examples
    --------
    >>> method = DffMethod(neuropil="none", baseline="percentile", percentile=50)
    >>> compute_dff([[100.0, 100.0, 150.0, 100.0, 100.0]], 10.0, method).dff
    array([[0. , 0. , 0.5, 0. , 0. ]], dtype=float32)
    """
    raw = require_matrix("fluorescence", fluorescence)
    require_rate(imaging_rate)
    surround = _surround(neuropil, raw.shape, method)
    bad = _bad(bad_frames, raw.shape[1])
    parts = tuple((slice(one.first, one.stop), one.imaging_rate) for one in stretches)
    parts = parts or ((slice(0, raw.shape[1]), imaging_rate),)
    dff = np.empty(raw.shape, dtype=np.float32)
    rois = []
    for row in range(raw.shape[0]):
        trace = np.asarray(raw[row], dtype=np.float32) + np.float32(method.offset)
        around = None if surround is None else np.asarray(surround[row], dtype=np.float32)
        dff[row], roi = _one_roi(trace, around, bad, parts, method)
        rois.append(roi)
    factors, lowest, offsets = (np.array([roi[at] for roi in rois], dtype=np.float32) for at in range(3))
    return DffResult(dff, factors, lowest, offsets, tuple(roi.outcome for roi in rois), method)


class _Roi(NamedTuple):
    """What DffResult keeps of one ROI."""

    neuropil_factor: float
    lowest_baseline: float
    offset: float
    outcome: str


def _one_roi(
    trace: NDArray[np.float32],
    around: NDArray[np.float32] | None,
    bad: NDArray[np.bool_],
    parts: Sequence[tuple[slice, float]],
    method: DffMethod,
) -> tuple[NDArray[np.float32], _Roi]:
    """dF/F of one ROI, whose parts (frames, Hz) have baselines of their own, and what happened to it."""
    left_out = bad | ~np.isfinite(trace) | (False if around is None else ~np.isfinite(around))
    if left_out.all():
        return np.full_like(trace, np.nan), _Roi(0.0, np.nan, method.offset, "no-data")
    parts = [(frames, rate) for frames, rate in parts if not left_out[frames].all()]
    corrected = bridged = [bridge(trace[frames], left_out[frames]) for frames, _ in parts]
    factor = subtracted = 0.0
    if around is not None:
        surround = [bridge(around[frames], left_out[frames]) for frames, _ in parts]
        factor = method.neuropil_factor
        if method.neuropil == "robust":
            windows = [window_frames(rate, method) for _, rate in parts]
            factor = neuropil_factor(list(zip(bridged, surround, windows, strict=True)))
        corrected = [own - np.float32(factor) * others for own, others in zip(bridged, surround, strict=True)]
        subtracted = factor * float(np.median(np.concatenate(surround)))
    baselines = [running_baseline(one, rate, method) for one, (_, rate) in zip(corrected, parts, strict=True)]
    least = max(method.least_baseline * float(np.median(np.concatenate(bridged))), 0.0)
    lowest = float(min(baseline.min() for baseline in baselines))
    outcome, restored, floor = "ok", 0.0, -np.inf
    if not lowest > least:
        outcome, restored, floor = _rescue(method, lowest, least, subtracted, noise_std(np.concatenate(corrected)))
    dff = np.full_like(trace, np.nan)
    for (frames, _), one, baseline in zip(parts, corrected, baselines, strict=True):
        dff[frames] = (one - baseline) / np.maximum(baseline + np.float32(restored), np.float32(floor))
    dff[left_out] = np.nan
    return dff, _Roi(factor, lowest, method.offset + restored, outcome)


def _rescue(
    method: DffMethod, lowest: float, least: float, subtracted: float, noise: float
) -> tuple[str, float, float]:
    """Outcome for a baseline that is too low, what to add to it, and the least divisor (NaN: none is allowed)."""
    if method.guard == "restore-neuropil" and lowest + subtracted > least:
        return "restored", subtracted, 0.0
    if method.guard == "noise-floor" and noise > 0:
        return "floored", 0.0, noise
    return "excluded", 0.0, np.nan


def _bad(bad_frames: ArrayLike | None, n_frames: int) -> NDArray[np.bool_]:
    bad = np.zeros(n_frames, dtype=bool) if bad_frames is None else np.asarray(bad_frames)
    if bad.shape != (n_frames,) or bad.dtype != bool:
        raise InputError(f"Expected bad_frames as {n_frames} bool values, received {bad.dtype} of shape {bad.shape}.")
    return bad


def _surround(neuropil: ArrayLike | None, shape: tuple[int, ...], method: DffMethod) -> NDArray[Any] | None:
    """Neuropil traces if the method uses them."""
    if method.neuropil == "none":
        return None
    if neuropil is None:
        raise InputError(
            f"Expected neuropil traces for neuropil={method.neuropil!r}, received none. Give them (Fneu), or choose "
            "neuropil='none' if the fluorescence is corrected already."
        )
    surround = require_matrix("neuropil", neuropil)
    if surround.shape != shape:
        raise InputError(f"Expected neuropil of the fluorescence's shape {shape}, received {surround.shape}.")
    if surround.size and not surround.any():
        raise InputError(
            "Expected neuropil traces, received only zeros, as suite2p writes them when it did not extract neuropil. "
            "Choose neuropil='none'."
        )
    return surround
