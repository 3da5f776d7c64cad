"""The distribution of a spike count, given what the networks expect: negative binomial with a gain of each cell.

What is uncertain about a count is nearly all a property of the cell: how many spikes it fired for each one that was
found. So the gain of a cell, g, is log-normal, and given it the count of a window is negative binomial:

    n | g ~ NB(mean = g m, variance = g m + a (g m)^2),    log g ~ N(log gain, cell_sd^2 + preparation_sd^2)
    log m = log window_s + u + mean[0] + mean[1] u + mean[2] v,
    log a = spread[0] + spread[1] u + spread[2] u^2 + spread[3] v + spread[4] w,
    u = log(expected / window_s + RATE_FLOOR),    v = log(noise level / NOISE_CENTRE),    w = log window_s

so that the share of counts that are true may depend on rate and noise: in silence networks state a floor that is none.
The parameters are fitted on predictions for cells that the networks never saw (`nwb_cascade.evaluation.count_fit`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nwb_cascade.core.bounds import Bounds, require
from nwb_cascade.core.precision import rounded
from nwb_cascade.errors import InputError

RATE_FLOOR = 0.02  # spikes/s
NOISE_CENTRE = 4.0  # % Hz^-1/2
NOISE_RANGE = (0.5, 12.0)  # beyond it nothing was fitted, and the nearest value holds
WINDOW_RANGE_S = (0.1, 100.0)
LEAST_SPREAD = 0.01
NODES = np.linspace(-4, 4, 41)  # of the log gain, in its standard deviations: closer than the spread of long windows
NODE_WEIGHTS = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()
EXPECTED_BITS = 7  # to which expected counts are rounded for quantiles, so that few differ: 0.4 %
NOISE_STEP = 1 / 16  # of the log of noise levels, for the same reason
CLASSES = ("met", "unmet")
# What is fitted apart, and its class; what is not told to be of interneurons is of excitatory cells.
FITS = {"met": "met", "unmet": "unmet", "unmet_interneuron": "unmet"}
GAIN_RANGE = (0.05, 20.0)
BOUNDS = {
    "mean": Bounds(float, -20, 20, (3, 3)),
    "spread": Bounds(float, -20, 20, (5, 5)),
    "cell_sd": Bounds(float, 0, 5),
    "preparation_sd": Bounds(float, 0, 5),
    "gain": Bounds(float, *GAIN_RANGE),
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CountModel:
    """Parameters of the distribution of counts, see this module.

    Parameters
    ----------
    kind : {"met", "unmet"}
        ``met``: other animals of the same preparation (indicator, species, kind of cell) were in the training;
        ``unmet``: they were not, so that the gain of the preparation is as unknown as the cell's own.
    mean : tuple of float
        Log of the true over the expected count: constant, per unit of u, of v.
    spread : tuple of float
        Log of the overdispersion: constant, per unit of u, of u^2, of v and of w.
    cell_sd, preparation_sd : float
        Standard deviations of the log gain: of cells within a preparation, and of preparations.
    gain : float
        Median gain of the preparation, by which ``m`` is scaled; 1 unless it was calibrated.
    is_calibrated : bool
        Whether the gain was found for the preparation.

    Raises
    ------
    ModelFileError
        If a value is out of its range.
    """

    kind: str
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    cell_sd: float
    preparation_sd: float
    gain: float = 1.0
    is_calibrated: bool = False

    def __post_init__(self) -> None:
        require(vars(self), BOUNDS, f"the count model {self.kind!r}")
        for name in ("mean", "spread"):
            object.__setattr__(self, name, tuple(float(one) for one in vars(self)[name]))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CountModel:
        """Read what `to_dict` gave; what else is there is left alone."""
        known = {name: values[name] for name in BOUNDS if name in values}
        return cls(kind=str(values.get("kind", "")), is_calibrated=bool(values.get("is_calibrated")), **known)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        found = {name: list(one) if isinstance(one, tuple) else one for name, one in asdict(self).items()}
        if not self.is_calibrated:
            del found["is_calibrated"]
        return found

    @property
    def gain_sd(self) -> float:
        """Standard deviation of the log gain of a cell of a preparation that nothing more is known of."""
        return float(np.hypot(self.cell_sd, self.preparation_sd))

    def scaled(self, gain: float, preparation_sd: float) -> CountModel:
        """Return the model for a preparation whose gain is known, with the standard deviation of its log."""
        return replace(self, gain=gain, preparation_sd=preparation_sd, is_calibrated=True)

    def stated(self, expected: ArrayLike, noise_level: ArrayLike, window_s: ArrayLike) -> Floats:
        """Return the counts to state: what the networks expect, or the means of a calibrated preparation."""
        if self.is_calibrated:
            return self.means(expected, noise_level, window_s)
        return np.asarray(expected, np.float64)

    def means(self, expected: ArrayLike, noise_level: ArrayLike, window_s: ArrayLike) -> Floats:
        """Return the counts of a cell of median gain for counts that the networks expect (not scaled yet)."""
        log_count, of_mean, _ = features(expected, noise_level, window_s)
        return np.asarray(self.gain * np.exp(log_count + np.tensordot(self.mean, of_mean, axes=1)))

    def overdispersion(self, expected: ArrayLike, noise_level: ArrayLike, window_s: ArrayLike) -> Floats:
        """Return by how much the variance of a count exceeds its mean, over the mean squared."""
        _, _, of_spread = features(expected, noise_level, window_s)
        exponent = np.tensordot(self.spread, of_spread, axes=1)
        return np.asarray(LEAST_SPREAD + np.exp(np.clip(exponent, -20, 6)))

    def cdf(self, counts: ArrayLike, expected: ArrayLike, noise_level: ArrayLike, window_s: ArrayLike) -> Floats:
        """Probability of at most ``counts`` spikes (0 below 0); all arguments broadcast.

        Parameters
        ----------
        counts, expected : array_like
            Spikes, and what the networks expect, in windows.
        noise_level : array_like
            % Hz^-1/2.
        window_s : array_like
            Seconds with a value in each window.
        """
        from scipy.special import betainc

        means = self.means(expected, noise_level, window_s)[..., None] * np.exp(self.gain_sd * NODES)
        spread = self.overdispersion(expected, noise_level, window_s)[..., None]
        whole = np.floor(np.asarray(counts, np.float64))[..., None]
        found = betainc(1 / spread, np.maximum(whole, 0) + 1, 1 / (1 + spread * means))
        return np.asarray(np.where(whole[..., 0] < 0, 0.0, found @ NODE_WEIGHTS))

    def pit(
        self,
        counts: ArrayLike,
        expected: ArrayLike,
        noise_level: ArrayLike,
        window_s: ArrayLike,
        generator: np.random.Generator,
    ) -> Floats:
        """Randomised probability integral transform of counts: uniform from 0 to 1 if the distribution is right.

        Source: Czado, Gneiting and Held, Biometrics 65:1254 (2009), in its randomised form.
        """
        numbers = np.asarray(counts, np.float64)
        below = self.cdf(numbers - 1, expected, noise_level, window_s)
        share = generator.random(below.shape)
        return np.asarray(below + share * (self.cdf(numbers, expected, noise_level, window_s) - below))

    def quantiles(
        self, probability: float, expected: ArrayLike, noise_level: ArrayLike, window_s: ArrayLike
    ) -> NDArray[np.float64]:
        """Least count that is reached with at least this probability; NaN where ``expected`` is.

        Expected counts are rounded to 0.4 % and noise levels to 3 % first, so that long recordings take no longer.
        """
        wanted, levels, windows = np.broadcast_arrays(
            np.asarray(expected, np.float64), np.asarray(noise_level, np.float64), np.asarray(window_s, np.float64)
        )
        found = np.full(wanted.shape, np.nan)
        known = np.isfinite(wanted)
        noise = np.round(np.log(_bounded_noise(levels[known])) / NOISE_STEP) * NOISE_STEP
        few = rounded(np.maximum(wanted[known], 0).astype(np.float32), EXPECTED_BITS).astype(np.float64)
        cases, where = np.unique(np.stack([few, noise, windows[known]]), axis=1, return_inverse=True)
        found[known] = self._quantiles(probability, cases[0], np.exp(cases[1]), cases[2])[where.reshape(-1)]
        return found

    def _quantiles(self, probability: float, expected: Floats, noise_level: Floats, window_s: Floats) -> Floats:
        """Quantiles of (n,) different cases, by bisection over whole numbers."""
        low = np.full(expected.shape, -1.0)
        high: Floats = np.ceil(2 + 4 * self.means(expected, noise_level, window_s) * np.exp(3 * self.gain_sd))
        while (short := self.cdf(high, expected, noise_level, window_s) < probability).any():
            high[short] *= 4
        while (open_ := high - low > 1).any():
            middle = np.floor((low + high) / 2)
            enough = self.cdf(middle[open_], expected[open_], noise_level[open_], window_s[open_]) >= probability
            at = np.flatnonzero(open_)
            high[at[enough]] = middle[at[enough]]
            low[at[~enough]] = middle[at[~enough]]
        return high

    def sample(
        self, expected: NDArray[Any], noise_level: ArrayLike, window_s: ArrayLike, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """Draw counts (n_rois, n_windows): a gain for each ROI, then each window given it; 0 where nothing is known."""
        known = np.isfinite(expected)
        filled = np.where(known, expected, 0.0)
        gains = np.exp(self.gain_sd * generator.standard_normal((len(filled), 1)))
        means = self.means(filled, noise_level, window_s) * gains
        spread = self.overdispersion(filled, noise_level, window_s)
        return np.where(known, generator.poisson(generator.gamma(1 / spread, spread * means)), 0)


def require_level(level: float) -> float:
    """Return the share of cases that an interval is to hold.

    Raises
    ------
    InputError
        If it is not between 0 and 1.
    """
    if not isinstance(level, (int, float)) or not 0 < level < 1:
        raise InputError(f"Expected a level between 0 and 1, such as 0.8 for 80 % intervals, received {level!r}.")
    return float(level)


def features(expected: ArrayLike, noise_level: ArrayLike, window_s: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return the log of the expected count above the floor, and what ``mean`` and ``spread`` are multiplied with."""
    window = np.asarray(window_s, np.float64)
    rate = np.log(np.maximum(np.asarray(expected, np.float64), 0) / window + RATE_FLOOR)
    noise = np.log(_bounded_noise(np.asarray(noise_level, np.float64)) / NOISE_CENTRE)
    rate, noise, length = np.broadcast_arrays(rate, noise, np.log(np.clip(window, *WINDOW_RANGE_S)))
    ones = np.ones_like(rate)
    return np.log(window) + rate, np.stack([ones, rate, noise]), np.stack([ones, rate, rate**2, noise, length])


def _bounded_noise(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise levels within what was fitted; unknown ones as the centre."""
    return np.clip(np.where(np.isfinite(levels), levels, NOISE_CENTRE), *NOISE_RANGE)
