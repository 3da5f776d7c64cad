"""Calibration: how many spikes a preparation fires for each one that is found, from what is known of it.

The gain of a preparation is log-normal with the spread that preparations have (`CountModel.preparation_sd`). What is
known narrows it: a few cells with recorded spikes, the mean rate of a population, or the dF/F of one spike. All
three are estimates of the log gain with a standard deviation, and combine with the prior as normal variables do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nwb_cascade.core.count_model import GAIN_RANGE, CountModel
from nwb_cascade.errors import InputError

SOURCES = ("labelled cells", "mean rate", "unit response")
FORMAT = "nwb-cascade calibration 1"
LEAST_SD = 0.02  # of a log gain: nothing is known better
RESPONSE_SD = 0.65  # of the log gain of excitatory cells whose response to one spike is known: docs/counts.md


@dataclass(frozen=True)
class Calibration:
    """Gain of a preparation for one model.

    Parameters
    ----------
    gain : float
        Median of true over stated counts of cells of the preparation, 0.05 to 20.
    gain_sd : float
        Standard deviation of its log; cells differ by more.
    source : {"labelled cells", "mean rate", "unit response"}
        What it was found from.
    model, weights_sha256 : str
        The model whose counts it corrects.
    indicator : str or None
        What the networks were told.
    evidence : mapping
        What it rests on, JSON-able.

    Raises
    ------
    InputError
        If the gain is out of range, or another value is not what it must be.
    """

    gain: float
    gain_sd: float
    source: str
    model: str
    weights_sha256: str
    indicator: str | None
    evidence: Mapping[str, Any]

    def __post_init__(self) -> None:
        require_gain(self.gain)
        if not isinstance(self.gain_sd, (int, float)) or not 0 < self.gain_sd < 5:
            raise InputError(f"Expected gain_sd of a calibration above 0 and below 5, received {self.gain_sd!r}.")
        if self.source not in SOURCES:
            raise InputError(f"Expected source of a calibration out of {', '.join(SOURCES)}, received {self.source!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "evidence": dict(self.evidence)}

    def to_json(self) -> str:
        """Return the text of a calibration file."""
        return json.dumps({"format": FORMAT, **self.to_dict()}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Calibration:
        """Read what `to_json` wrote; ``where`` names the file for errors.

        Raises
        ------
        InputError
            If it is no calibration, or one with values that cannot be.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise InputError(f"Expected a calibration in {where}, as 'nwb-cascade calibrate' writes it, found none.")
        try:
            return cls(**values)
        except (TypeError, InputError) as error:
            raise InputError(f"Expected a calibration in {where}: {error}") from error

    def applied(self, model: CountModel) -> CountModel:
        """Return the distribution of counts for the preparation."""
        return model.scaled(self.gain, self.gain_sd)


def require_gain(gain: float) -> float:
    """Return a gain that can be.

    Raises
    ------
    InputError
        If it is not from 0.05 to 20.
    """
    low, high = GAIN_RANGE
    if not isinstance(gain, (int, float)):
        raise InputError(f"Expected a gain from {low:g} to {high:g}, received {gain!r}.")
    if not low <= gain <= high:
        raise InputError(
            f"Expected a gain from {low:g} to {high:g}, received {gain:.4g}: what is known does not fit these "
            "recordings; check the indicator, the unit of dF/F and the spikes."
        )
    return float(gain)


def gain_from_cells(
    counts: ArrayLike, expected: ArrayLike, noise_levels: ArrayLike, seconds: ArrayLike, model: CountModel
) -> tuple[float, float]:
    """Gain of a preparation from cells with known spikes.

    Parameters
    ----------
    counts, expected : array_like
        (n_cells,), known spikes of each cell, and what the networks expect.
    noise_levels, seconds : array_like
        (n_cells,), % Hz^-1/2, and how long each was recorded.
    model : CountModel
        Distribution of the counts.

    Returns
    -------
    (float, float)
        The gain and the standard deviation of its log.

    Raises
    ------
    InputError
        If not one cell has spikes, or the gain is not from 0.05 to 20.

    Examples
    --------
    >>> model = CountModel("unmet", (0.0, 0.0, 0.0), (-4.0, 0.0, 0.0, 0.0, 0.0), 0.4, 0.8)
    >>> gain, sd = gain_from_cells([80, 95, 70], [200, 200, 200], [2, 2, 2], [100, 100, 100], model)
    >>> round(gain, 2), round(sd, 2)
    (0.44, 0.25)
    """
    known, stated = np.asarray(counts, np.float64), np.asarray(expected, np.float64)
    usable = (known > 0) & np.isfinite(stated)
    if not usable.any():
        raise InputError(
            f"Expected at least one labelled cell with spikes, received {known.size} without: a gain needs some. Add "
            "recordings in which the cell fires."
        )
    noise, length = (
        np.broadcast_to(np.asarray(one, np.float64), known.shape)[usable] for one in (noise_levels, seconds)
    )
    means = model.means(stated[usable], noise, length)
    logs = np.log((known[usable] + 0.5) / (means + 0.5))
    spread = model.overdispersion(stated[usable], noise, length)
    return _posterior(logs, model.cell_sd**2 + spread + 1 / known[usable], model)


def gain_from_mean_rate(
    rate_hz: float, rate_share: float, stated_hz: ArrayLike, model: CountModel
) -> tuple[float, float]:
    """Gain of a preparation whose mean rate is known.

    Parameters
    ----------
    rate_hz, rate_share : float
        Known mean rate of such cells, spikes/s, and its uncertainty (one standard deviation) as a share of it.
    stated_hz : array_like
        (n_rois,), rates of ROIs of the preparation that a cell of median gain would have, spikes/s.
    model : CountModel
        Distribution of the counts.
    """
    if not 0 < rate_hz < 1000 or not 0 <= rate_share < 5:
        raise InputError(
            f"Expected a mean rate above 0 spikes/s and its uncertainty as a share, received {rate_hz!r} and "
            f"{rate_share!r}."
        )
    stated = np.asarray(stated_hz, np.float64)
    stated = stated[np.isfinite(stated)]
    if not stated.size or stated.mean() <= 0:
        raise InputError("Expected ROIs with inferred spikes, whose mean rate can be compared, received none.")
    # the mean over cells of log-normal gains exceeds the median's
    log = np.log(rate_hz / stated.mean()) - model.cell_sd**2 / 2
    return _posterior(np.array([log]), np.array([rate_share**2 + model.cell_sd**2 / stated.size]), model)


def gain_from_response(usual: float, found: float, response_share: float, model: CountModel) -> tuple[float, float]:
    """Gain of a preparation whose dF/F of one spike is known.

    Parameters
    ----------
    usual, found : float
        Spikes that the networks find in the same trains with the usual response of the indicator, and with that of the
        preparation.
    response_share : float
        Uncertainty of the response (one standard deviation) as a share of it.
    model : CountModel
        Distribution of the counts.
    """
    if not 0 <= response_share < 5 or not found > 0 or not usual > 0:
        raise InputError(
            f"Expected a response to one spike that can be seen and its uncertainty as a share, received {found:.3g} "
            f"spikes found of {usual:.3g} and {response_share!r}."
        )
    return _posterior(np.log([usual / found]), np.array([response_share**2 + RESPONSE_SD**2]), model)


def _posterior(logs: Any, variances: Any, model: CountModel) -> tuple[float, float]:
    """Gain and deviation of its log after estimates of the log gain with these variances."""
    precision = 1 / max(model.preparation_sd, LEAST_SD) ** 2 + float(np.sum(1 / variances))
    gain = float(np.exp(np.sum(logs / variances) / precision))
    return require_gain(gain), max(1 / float(np.sqrt(precision)), LEAST_SD)
