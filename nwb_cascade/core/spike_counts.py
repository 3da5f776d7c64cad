"""Spike counts in windows of a recording: expected, and between which bounds they lie with a stated probability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.count_model import CLASSES, CountModel, require_level
from nwb_cascade.core.indicators import is_of_interneurons
from nwb_cascade.errors import InputError

COUNT_MODELS = "count_models"  # in the record of how a model was made
LEAST_VALID = 0.5  # of a window: share of its seconds with a value from which on it has one
DEFAULT_LEVEL = 0.8
ROUNDING = 1e-6  # of a window or a frame, by which times computed from rates may be off


@dataclass(frozen=True, eq=False)
class SpikeCounts:
    """Spike counts of windows that tile a recording.

    Parameters
    ----------
    expected : numpy.ndarray
        (n_rois, n_windows) float64: sum of the expected spikes; with a calibration the mean count of a cell of the
        preparation's median gain. NaN where fewer than half of a window's frames have a value; else it stands for the
        frames that have one.
    lower, upper : numpy.ndarray
        (n_rois, n_windows) float64, whole numbers: the count is at least ``lower`` and at most ``upper`` with about the
        probability ``level``, and below and above with half of the rest each.
    start_s : numpy.ndarray
        (n_windows,) float64, seconds from the first frame to the beginning of each window.
    window_s : float or None
        Length of the windows, s; None: the whole recording is one.
    level : float
        Probability that the intervals state.
    kind : {"met", "unmet"}
        What the networks know of such recordings, see `nwb_cascade.core.count_model.CountModel`.
    """

    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    start_s: NDArray[np.float64]
    window_s: float | None
    level: float
    kind: str


@dataclass(frozen=True, eq=False)
class WholeCounts:
    """Spike counts of whole recordings, as they are stored with what they were made from.

    ``expected``, ``lower`` and ``upper`` are (n_rois,), as in `SpikeCounts`.
    """

    model: CountModel
    level: float
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @classmethod
    def of_sums(
        cls, sums: NDArray[np.float64], seconds: NDArray[np.float64], noise_levels: NDArray[Any], model: CountModel
    ) -> WholeCounts:
        """Return the counts for sums of rates (n_rois,) over so many seconds (n_rois,) with a value."""
        found = _intervals(sums[:, None], seconds[:, None], noise_levels, model, DEFAULT_LEVEL)
        return cls(model, DEFAULT_LEVEL, *(one[:, 0] for one in found))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WholeCounts:
        """Read what `to_dict` gave."""
        arrays = (np.array(values[name], np.float64) for name in ("expected", "lower", "upper"))
        return cls(CountModel.from_dict(values["parameters"]), float(values["level"]), *arrays)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, NaN as null."""
        arrays = {"expected": self.expected, "lower": self.lower, "upper": self.upper}
        lists = {name: [float(one) if np.isfinite(one) else None for one in of] for name, of in arrays.items()}
        return {"parameters": self.model.to_dict(), "level": self.level, **lists}


def find_count_model(record: Mapping[str, Any], indicator: str | None) -> CountModel | None:
    """Return the distribution of counts as `count_model_of`, None if none was fitted for the model."""
    fitted = record.get(COUNT_MODELS)
    if not isinstance(fitted, Mapping) or not all(isinstance(fitted.get(kind), Mapping) for kind in CLASSES):
        return None
    if indicator in fitted.get("met_indicators", ()):
        return CountModel.from_dict({**fitted["met"], "kind": "met"})
    values = fitted.get("unmet_interneuron") if is_of_interneurons(indicator) else None
    return CountModel.from_dict({**(values or fitted["unmet"]), "kind": "unmet"})


def count_model_of(record: Mapping[str, Any], indicator: str | None, model_name: str) -> CountModel:
    """Return the distribution of counts of a recording.

    Parameters
    ----------
    record : mapping
        How the model was made: ``ModelConfig.extra``.
    indicator : str or None
        What the networks were told; something near, or nothing, is never met.
    model_name : str
        For the error.

    Raises
    ------
    InputError
        If no distribution was fitted for the model.
    """
    found = find_count_model(record, indicator)
    if found is None:
        raise InputError(
            f"Expected a model whose intervals were fitted on ground truth, received {model_name}, which has none: use "
            "the bundled conditional model, or fit them with scripts.fit_count_models."
        )
    return found


def spike_counts(
    expected_spikes: Iterable[NDArray[Any]],
    noise_levels: NDArray[Any],
    model: CountModel,
    clock: FrameClock,
    *,
    window_s: float | None = 1.0,
    level: float = DEFAULT_LEVEL,
) -> SpikeCounts:
    """Count the spikes of windows that tile a recording, with intervals.

    Parameters
    ----------
    expected_spikes : numpy.ndarray or iterable of numpy.ndarray
        (n_rois, n_frames), expected spikes per frame, NaN where there is none; or its rows one after the other.
    noise_levels : numpy.ndarray
        (n_rois,), % Hz^-1/2.
    model : CountModel
        Distribution of the counts.
    clock : FrameClock
        When the frames were.
    window_s : float or None
        Length of a window, s; a rest of the recording that is shorter is left out. None: all of the recording.
    level : float
        Share of windows whose count the interval is to hold.

    Raises
    ------
    InputError
        If ``level`` is not between 0 and 1, or a window is shorter than a frame or longer than the recording.

    Examples
    --------
    >>> model = CountModel("met", (0.0, 0.0, 0.0), (-2.0, 0.0, 0.0, 0.0, 0.0), 0.3, 0.1)
    >>> clock = FrameClock.from_rate(10.0, 25)
    >>> counts = spike_counts(np.full((1, 25), 0.4), np.array([2.0]), model, clock, window_s=1.0)
    >>> counts.expected, counts.lower, counts.upper
    (array([[4., 4.]]), array([[1., 1.]]), array([[8., 8.]]))
    """
    require_level(level)
    starts, of_frame = _windows(clock, window_s)
    sums, seconds = window_sums(expected_spikes, clock, of_frame, len(starts))
    least = 0.0 if window_s is None else LEAST_VALID * window_s - ROUNDING
    sums = np.where(seconds >= least, sums, np.nan)
    found = _intervals(sums, seconds, noise_levels, model, level)
    return SpikeCounts(*found, starts, window_s, float(level), model.kind)


def _intervals(
    sums: NDArray[np.float64], seconds: NDArray[np.float64], noise_levels: NDArray[Any], model: CountModel, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return expected, least and most counts for sums of rates (n_rois, n_windows) over so many seconds."""
    known = (seconds > 0) & np.isfinite(sums)
    expected = np.where(known, sums, np.nan)
    noise, lengths = np.asarray(noise_levels, np.float64)[:, None], np.where(known, seconds, 1.0)
    lower, upper = (model.quantiles(one, expected, noise, lengths) for one in ((1 - level) / 2, (1 + level) / 2))
    return model.stated(expected, noise, lengths), lower, upper


def window_sums(
    expected_spikes: Iterable[NDArray[Any]], clock: FrameClock, of_frame: NDArray[np.int64], n_windows: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum rates (n_rois, n_frames) over windows, and the seconds of the frames that have one; both (n_rois, n_windows).

    ``of_frame`` (n_frames,) is the window of each frame, -1: none.
    """
    frame_s, inside = 1 / clock.frame_rates, of_frame >= 0
    sums, seconds = [], []
    for rates in expected_spikes:
        used = inside & np.isfinite(rates)
        at = of_frame[used]
        sums.append(np.bincount(at, rates[used].astype(np.float64), minlength=n_windows))
        seconds.append(np.bincount(at, frame_s[used], minlength=n_windows))
    shape = (len(sums), n_windows)
    return np.maximum(np.reshape(sums, shape), 0.0), np.reshape(seconds, shape)


def whole_sums(expected_spikes: NDArray[Any], clock: FrameClock) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum rates (n_rois, n_frames) over the recording, and the seconds of the frames that have one; both (n_rois,)."""
    sums, seconds = window_sums(expected_spikes, clock, np.zeros(clock.n_frames, np.int64), 1)
    return sums[:, 0], seconds[:, 0]


def _windows(clock: FrameClock, window_s: float | None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Beginnings of the windows, s after the first frame, and the window of each frame (-1: none)."""
    if window_s is None:
        return np.zeros(1), np.zeros(clock.n_frames, np.int64)
    times = clock.frame_times - clock.frame_times[0]
    frame_s = 1 / clock.frame_rates
    duration, longest = float((times + frame_s).max()), float(frame_s.max())
    if not isinstance(window_s, (int, float)) or not longest * (1 - ROUNDING) <= window_s <= duration * (1 + ROUNDING):
        raise InputError(
            f"Expected windows from one frame ({longest:.4g} s) to the whole recording ({duration:.4g} s), received "
            f"{window_s!r} s; None takes the recording as one window."
        )
    n_windows = int(duration / window_s + ROUNDING)
    of_frame = np.floor(times / window_s + ROUNDING).astype(np.int64)
    starts = np.arange(n_windows, dtype=np.float64) * float(window_s)
    return starts, np.where((of_frame >= 0) & (of_frame < n_windows), of_frame, np.int64(-1))
